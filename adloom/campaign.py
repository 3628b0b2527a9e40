"""The campaign specification: what to make, as a frozen value."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from adloom.catalog import Price
from adloom.finishing_spec import (
    LANCZOS,
    FinishingSpec,
    ImageFormat,
    Upscaling,
    without_lanczos,
)
from adloom.gates import DEFAULT_GATES, Gate
from adloom.geometry import FORMATS, Size
from adloom.render_spec import Sampler


class Refresh(StrEnum):
    """Which slots (product × photo role × scene × format × variant) a run takes.

    `new`: those never rendered in this campaign; `changed`: these, and those whose image would not
    be the one they have; `all`. Whatever is chosen, a render that exists is reused. Changed gates
    change no image: they judge again what a run takes, so all of it with `all`.
    """

    NEW = "new"
    CHANGED = "changed"
    ALL = "all"


MAIN_PHOTO, BEST_PHOTO = "main", "best"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which products: all given conditions must hold; an empty one holds for all.

    `categories` match by whole words of the category path; `external_ids` are exact. `photo` says
    which photo a product is shown by: `main` is the first of each of `photo_roles`, `best` the one
    of all its photos that suits ads best (adloom/photo_quality.py), in the main one's place.
    """

    sources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    external_ids: tuple[str, ...] = ()
    in_stock_only: bool = False
    photo_roles: tuple[str, ...] = ("main",)
    photo: str = MAIN_PHOTO
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Finishing:
    """The campaign's choices of finishing; the format adds the canvas."""

    detail_lock: bool = True
    encoding: ImageFormat = ImageFormat.WEBP
    quality: int = 90
    upscaling: Upscaling = LANCZOS


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one run; None is no bound.

    A plan of more than `max_renders` is refused before anything starts. The others bound what the
    run's batches have made, by measured device time: once one is reached nothing more is begun.
    """

    max_renders: int | None = None
    images: int | None = None
    gpu_seconds: float | None = None
    money: Price | None = None

    @property
    def is_spent_by_running(self) -> bool:
        return not (self.images is None and self.gpu_seconds is None and self.money is None)

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"max_renders": self.max_renders}
        if self.images is not None:
            plain["images"] = self.images
        if self.gpu_seconds is not None:
            plain["gpu_seconds"] = self.gpu_seconds
        if self.money is not None:
            plain["money"] = [str(self.money.amount), self.money.currency]
        return plain

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Budget":
        plain = dict(values)
        if plain.get("money") is not None:
            amount, currency = plain["money"]
            plain["money"] = Price(Decimal(amount), currency)
        return cls(**plain)


MAX_ATTEMPTS = 5
"""How often a render is tried, over all runs, unless its campaign says otherwise."""


_LATER_CHOICES: dict[str, Any] = {
    "max_attempts": MAX_ATTEMPTS,
    "deadline": None,
    "webhook": None,
}


@dataclass(frozen=True, slots=True)
class CampaignSpec:
    slug: str
    title: str
    scenes: tuple[str, ...]
    formats: tuple[str, ...]
    selection: Selection = Selection()
    variants: int = 1
    draws: int = 1
    seed: int = 0
    refresh: Refresh = Refresh.ALL
    model: str = "mini"
    steps: int | None = None
    guidance: float | None = None
    reference_scale: float | None = None
    finishing: Finishing = Finishing()
    gates: tuple[Gate, ...] = DEFAULT_GATES
    budget: Budget = Budget()
    min_mask_confidence: float = 0.5
    max_attempts: int = MAX_ATTEMPTS
    """A render that failed this often is not tried again, unless somebody insists."""
    deadline: str | None = None
    """When to tell how far a run is; see `adloom.deadlines`."""
    webhook: str | None = None
    """The name of the endpoint that is told what becomes of runs."""

    def sampler_for(self, scene: Sampler) -> Sampler:
        """The scene's sampler with what the campaign overrides."""
        given = {
            "steps": self.steps,
            "guidance": self.guidance,
            "reference_scale": self.reference_scale,
        }
        return replace(scene, **{k: v for k, v in given.items() if v is not None})

    def finishing_for(self, format_slug: str) -> FinishingSpec:
        canvas: Size = FORMATS[format_slug].canvas
        return FinishingSpec(
            canvas.width,
            canvas.height,
            detail_lock=self.finishing.detail_lock,
            encoding=self.finishing.encoding,
            quality=self.finishing.quality,
            upscaling=self.finishing.upscaling,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values. What says nothing new is left out: a specification that was stored
        before there was such a choice is still the same one."""
        plain = asdict(self)
        if self.selection.photo == MAIN_PHOTO:
            del plain["selection"]["photo"]
        for name, unsaid in _LATER_CHOICES.items():
            if plain[name] == unsaid:
                del plain[name]
        plain["budget"] = self.budget.to_json()
        return {**plain, "finishing": without_lanczos(plain["finishing"])}

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CampaignSpec":
        """The inverse of `to_json`, also after a round trip through jsonb."""
        plain = dict(values)
        chosen: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in plain["selection"].items()
        }
        plain["selection"] = Selection(**chosen)
        finishing = dict(plain["finishing"])
        finishing["encoding"] = ImageFormat(finishing["encoding"])
        if "upscaling" in finishing:
            finishing["upscaling"] = Upscaling.from_json(finishing["upscaling"])
        plain["finishing"] = Finishing(**finishing)
        plain["gates"] = tuple(Gate(**g) for g in plain["gates"])
        plain["budget"] = Budget.from_json(plain["budget"])
        plain["refresh"] = Refresh(plain["refresh"])
        plain["scenes"] = tuple(plain["scenes"])
        plain["formats"] = tuple(plain["formats"])
        return cls(**plain)
