"""The five variants of a product picture: itself, two degraded, two seen from elsewhere."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from training.augment.camera import Turn
from training.augment.degradation import (
    NOTHING,
    Degradation,
    degraded,
    draw_degradation,
    draw_light,
)
from training.augment.novel_views import LiftedProduct, Lifting

Picture = NDArray[np.uint8]

PER_IMAGE = 5
UNTURNED = Turn()
LARGEST_TURN_DEG, LARGEST_PITCH_DEG = 15.0, 6.0
LEAST_TURN_DEG = 4.0

MOST_OPEN = 0.01
"""A view that tears the product open by more than this share of its area is turned less far."""


class VariantKind(StrEnum):
    """What a variant is."""

    ORIGINAL = "original"
    DEGRADED = "degraded"
    NOVEL_VIEW = "novel_view"


@dataclass(frozen=True, slots=True)
class VariantPlan:
    """What is done for the variant `_NN`: first the turn, then the degradation."""

    number: int
    kind: VariantKind
    turn: Turn = UNTURNED
    degradation: Degradation = NOTHING


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant made: picture (H, W, 3) on white, mask (H, W), the plan that was carried out (a
    turn may have been made smaller), and the gaps of a novel view as shares of its area."""

    plan: VariantPlan
    picture: Picture
    mask: Picture
    filled: float = 0.0
    open: float = 0.0


def plan_variants(rng: np.random.Generator) -> tuple[VariantPlan, ...]:
    """Five plans; the same generator state gives the same ones."""
    return (
        VariantPlan(0, VariantKind.ORIGINAL),
        VariantPlan(1, VariantKind.DEGRADED, degradation=draw_degradation(rng)),
        VariantPlan(2, VariantKind.DEGRADED, degradation=draw_degradation(rng)),
        VariantPlan(3, VariantKind.NOVEL_VIEW, turn=_draw_turn(rng)),
        VariantPlan(4, VariantKind.NOVEL_VIEW, turn=_draw_turn(rng), degradation=draw_light(rng)),
    )


def _draw_turn(rng: np.random.Generator) -> Turn:
    """A yaw to either side that can be seen, and a slight pitch."""
    yaw = rng.uniform(LEAST_TURN_DEG, LARGEST_TURN_DEG) * rng.choice([-1, 1])
    return Turn(float(yaw), float(rng.uniform(-LARGEST_PITCH_DEG, LARGEST_PITCH_DEG)))


def make_variants(
    cutout: Picture,
    photo: Picture,
    mask: Picture,
    plans: tuple[VariantPlan, ...],
    lifting: Lifting | None = None,
    relief: NDArray[np.float32] | None = None,
    device: str = "cpu",
) -> list[Variant]:
    """The variants of a product: its `cutout` on white and the `photo` it is from (H, W, 3), its
    mask (H, W). The photo is lifted once, if a plan asks for it. Raises MaskError."""
    lifted: LiftedProduct | None = None
    made: list[Variant] = []
    for plan in plans:
        if plan.kind is VariantKind.NOVEL_VIEW:
            lifted = lifted or LiftedProduct(photo, mask, lifting, relief)
            seen = _novel(lifted, plan, device)
        else:
            seen = Variant(plan, cutout, mask)
        picture, cover = degraded(seen.picture, seen.mask, plan.degradation)
        made.append(replace(seen, picture=picture, mask=cover))
    return made


def _novel(lifted: LiftedProduct, plan: VariantPlan, device: str) -> Variant:
    turn = plan.turn
    view = lifted.view(turn, device)
    for _ in range(2):
        if view.open <= MOST_OPEN:
            break
        turn = replace(turn, yaw_deg=turn.yaw_deg / 2, pitch_deg=turn.pitch_deg / 2)
        view = lifted.view(turn, device)
    carried_out = replace(plan, turn=turn)
    return Variant(carried_out, view.picture, view.mask, view.filled, view.open)
