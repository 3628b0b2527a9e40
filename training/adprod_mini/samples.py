"""One sample of AdProd-mini by its number: an ad, its mask, and references from several sides."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError
from training.adprod_mini.lights import draw_lighting
from training.adprod_mini.photograph import Quality, photograph, portrait
from training.adprod_mini.products import FAMILIES, HELDOUT_FAMILIES, Product, draw_product
from training.adprod_mini.scenes import Split, draw_scene
from training.adprod_mini.stage import build_stage, draw_framing
from training.augment.degradation import degraded, draw_degradation
from training.rendering.tracing import View, on_the_set, vertices_of
from training.scenes_synth.generator import frame_of
from training.scenes_synth.grammar import SceneChoice, caption
from training.scenes_synth.palette import colour_words

Picture = NDArray[np.uint8]

SHARES: Final = {(128, 128): 0.35, (128, 160): 0.25, (96, 176): 0.2, (176, 96): 0.2}
GOLDEN: Final = 0.6180339887498949
UNIT_PX: Final = 128
"""The side of which other sizes are multiples: native sizes and references grow alike."""

LEAST_TURN_DEG, MOST_TURN_DEG, MOST_PITCH_DEG = 4.0, 15.0, 6.0
DEGRADED_SHARE: Final = 0.6
LEAST_AREA, MOST_AREA = 0.02, 0.7
TRIES: Final = 10
_SPLIT_KEYS: Final = {Split.TRAIN: 3, Split.HELDOUT_FAMILIES: 5, Split.HELDOUT_SCENES: 7}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides a sample beside its number. views: references per ad, the first from the ad's
    own side; size_px: side of references, a multiple of 128; hdris: pictures to light scenes with
    in place of our own; silhouette: a number for products that all share one shape."""

    seed: int = 0
    split: Split = Split.TRAIN
    views: int = 2
    size_px: int = UNIT_PX
    quality: Quality = field(default_factory=Quality)
    hdris: tuple[Path, ...] = ()
    silhouette: int | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture of the product on white (S, S, 3) and how it was taken: degrees by which it is
    turned against the ad's view, and whether it was degraded."""

    picture: Picture
    yaw_deg: float
    pitch_deg: float
    degraded: bool


@dataclass(frozen=True, slots=True)
class MiniSample:
    """ad (H, W, 3), mask (H, W), the product frame (cx, cy, side) in native px, the references,
    a caption, and what is shown by name."""

    native: tuple[int, int]
    ad: Picture
    mask: Picture
    frame: tuple[float, float, float]
    references: tuple[Reference, ...]
    caption: str
    shown: dict[str, str]


def native_of(index: int, size_px: int = UNIT_PX) -> tuple[int, int]:
    """The native size (width, height) of a sample; any stretch of numbers holds all in SHARES."""
    place = (index * GOLDEN + 0.5) % 1.0
    natives, shares = list(SHARES), np.cumsum(list(SHARES.values()))
    width, height = natives[min(int(np.searchsorted(shares, place)), len(natives) - 1)]
    return width * size_px // UNIT_PX, height * size_px // UNIT_PX


def make_sample(recipe: Recipe, index: int) -> MiniSample:
    """The same recipe and number, the same sample, but for the renderer's last bits. ModelError
    where none of several tries gives a picture that shows the product whole."""
    for attempt in range(TRIES):
        rng = np.random.default_rng([recipe.seed, _SPLIT_KEYS[recipe.split], index, attempt])
        made = _try_sample(rng, recipe, native_of(index, recipe.size_px))
        if made is not None:
            return made
    raise ModelError("no picture shows the product whole", where=f"sample {index}")


def _try_sample(
    rng: np.random.Generator, recipe: Recipe, native: tuple[int, int]
) -> MiniSample | None:
    held = recipe.split is Split.HELDOUT_FAMILIES
    product = draw_product(rng, HELDOUT_FAMILIES if held else FAMILIES, recipe.silhouette)
    scene = draw_scene(rng, recipe.split)
    yaw = float(rng.uniform(-1, 1) * product.turn_deg)
    stood = on_the_set(product.parts, View(yaw_deg=yaw))
    framing = draw_framing(rng, native, vertices_of(stood), scene.surface == "podium")
    stage = build_stage(rng, scene, stood, framing)
    lighting = draw_lighting(rng, scene.light, recipe.hdris)
    seed = int(rng.integers(2**31))
    ad = photograph(stood, stage, lighting, recipe.quality, seed)
    if not _is_whole(ad.mask):
        return None
    view = View(yaw_deg=yaw, elevation_deg=framing.elevation_deg)
    plain = portrait(product.parts, view, recipe.size_px, recipe.quality, seed, 0.0)
    references = [Reference(plain.picture, 0.0, 0.0, False)]
    references += [_turned(rng, product, view, recipe) for _ in range(recipe.views - 1)]
    words = colour_words(plain.picture, plain.mask)
    return MiniSample(
        native,
        ad.picture,
        ad.mask,
        frame_of(ad.mask),
        tuple(references),
        caption(rng, scene, words, product.word),
        _shown(product, scene),
    )


def _turned(rng: np.random.Generator, product: Product, view: View, recipe: Recipe) -> Reference:
    """The product from a slightly other side, in other light, and mostly degraded."""
    yaw = float(rng.uniform(LEAST_TURN_DEG, MOST_TURN_DEG) * rng.choice([-1, 1]))
    pitch = float(rng.uniform(-MOST_PITCH_DEG, MOST_PITCH_DEG))
    pitch = max(pitch, 2.0 - view.elevation_deg)
    other = View(view.yaw_deg + yaw, view.elevation_deg + pitch)
    light, seed = float(rng.uniform(-10, 84)), int(rng.integers(2**31))
    seen = portrait(product.parts, other, recipe.size_px, recipe.quality, seed, light)
    if rng.random() >= DEGRADED_SHARE:
        return Reference(seen.picture, yaw, pitch, False)
    worse, _ = degraded(seen.picture, seen.mask, draw_degradation(rng))
    return Reference(worse, yaw, pitch, True)


def _is_whole(mask: Picture) -> bool:
    """Whether the product is in the picture, no edge cuts it, and its size is sensible."""
    solid = mask >= 128
    edges = np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]])
    return bool(LEAST_AREA < solid.mean() < MOST_AREA and not edges.any())


def _shown(product: Product, scene: SceneChoice) -> dict[str, str]:
    return {
        "family": product.family,
        "word": product.word,
        "surface": scene.surface,
        "light": scene.light,
        "prop": scene.prop,
        "backdrop": scene.backdrop,
        "tint": scene.tint,
        "mood": scene.mood,
    }


def check_recipe(recipe: Recipe) -> None:
    """ModelError for what cannot be made."""
    if recipe.size_px < UNIT_PX or recipe.size_px % UNIT_PX:
        raise ModelError(f"size {recipe.size_px}", hint=f"a multiple of {UNIT_PX} px")
    if recipe.views < 1:
        raise ModelError(f"{recipe.views} views", hint="at least 1: the ad's own side")
