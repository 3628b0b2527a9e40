"""Training samples: a made-up product in a made-up scene, its picture, mask and caption."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from training.scenes_synth.fields import F32, U8, between, blobs, blur, chance, f32
from training.scenes_synth.grammar import caption, choose_scene
from training.scenes_synth.palette import colour_words
from training.scenes_synth.products import Product, Split, make_product
from training.scenes_synth.relief import SIZE, STUDIO, Light, shade
from training.scenes_synth.scale import PX
from training.scenes_synth.stage import Spot, Stage, build_stage

REFERENCE_SIZE: Final = 128 * PX  # px, side of the canonical product picture
CANONICAL_FILL: Final = 0.85  # of it that the product's longer side takes
NATIVE_SIZES: Final = ((128, 128), (128, 160), (96, 176), (176, 96))  # (width, height)


@dataclass(frozen=True, slots=True)
class SynthSample:
    """One training triplet.

    ad (H, W, 3) uint8; mask (H, W) uint8, 0..255, the product's coverage with a soft edge;
    product (S, S, 3) uint8 on pure white, in the canonical frame; frame (cx, cy, side) in
    native px: that canonical square laid on the ad; the caption; and the scene's parts by name.
    """

    ad: U8
    mask: U8
    product: U8
    frame: tuple[float, float, float]
    caption: str
    scene: dict[str, str]


def bounds(alpha: F32 | U8, threshold: float) -> tuple[int, int, int, int]:
    """Bounding box x0, y0, x1, y1 (exclusive) of what is at least `threshold`."""
    inside = alpha >= threshold
    xs, ys = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
    if len(xs) == 0:
        return 0, 0, alpha.shape[1], alpha.shape[0]
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def _placed(
    rgba: F32, scale: float, source: tuple[float, float], target: tuple[float, float],
    size: tuple[int, int], flip: bool = False,
) -> F32:  # fmt: skip
    """The picture scaled about `source` (px edges) and put at `target` on a (w, h) canvas."""
    smoothed = blur(rgba, 0.42 * max(0.0, 1 / scale - 1))
    sign = -1.0 if flip else 1.0
    # Pixel centres are at +0.5: the affine map is written for edges and shifted accordingly.
    warp = f32([
        [scale, 0, target[0] - 0.5 - scale * (source[0] - 0.5)],
        [0, sign * scale, target[1] - 0.5 - sign * scale * (source[1] - 0.5)],
    ])  # fmt: skip
    return np.clip(cv2.warpAffine(smoothed, warp, size, flags=cv2.INTER_LINEAR), 0, 1)


def canonical(rgba: F32) -> U8:
    """The canonical picture: cropped to the box, 0.85 of the square, centred on pure white."""
    x0, y0, x1, y1 = bounds(rgba[..., 3], 0.5)
    scale = CANONICAL_FILL * REFERENCE_SIZE / max(x1 - x0, y1 - y0)
    half = REFERENCE_SIZE / 2
    drawn = _placed(rgba, scale, ((x0 + x1) / 2, (y0 + y1) / 2), (half, half),
                    (REFERENCE_SIZE, REFERENCE_SIZE))  # fmt: skip
    # What a blur or a hairline spreads beyond the box is cut: the ground is pure white.
    margin = int(half * (1 - CANONICAL_FILL)) - 3 * PX
    framed = np.zeros_like(drawn)
    inner = np.s_[margin:-margin, margin:-margin]
    framed[inner] = np.where(drawn[inner][..., 3:] < 0.02, 0, drawn[inner])
    return _bytes(framed[..., :3] + (1 - framed[..., 3:]))


def _bytes(image: F32) -> U8:
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def _reference(rng: np.random.Generator, product: Product, yaw: float) -> U8:
    """The catalogue picture: the same view half the time, else a similar view, degraded."""
    if chance(rng, 0.5):
        return canonical(shade(product.view(yaw), STUDIO))
    turn = yaw + between(rng, -0.26, 0.26)
    direction = (between(rng, -0.7, 0.7), -0.6, between(rng, 0.5, 0.9))
    key, ambient = between(rng, 0.4, 0.65), between(rng, 0.44, 0.6)
    rgba = shade(
        product.view(turn),
        Light(direction, (key, key, key), (ambient, ambient, ambient), (0.1, 0.1, 0.1)),
    )
    if chance(rng, 0.4):
        rgba = _bent(rng, rgba)
    if chance(rng, 0.3):
        dark = 1 - between(rng, 0.1, 0.4) * blobs(rng, SIZE, SIZE, 3)[..., None]
        rgba = np.dstack([rgba[..., :3] * dark, rgba[..., 3:]])
    if chance(rng, 0.3):
        noise = rng.normal(0, between(rng, 0.01, 0.05), (*rgba.shape[:2], 3))
        rgba = np.dstack([rgba[..., :3] + noise * rgba[..., 3:], rgba[..., 3:]])
    if chance(rng, 0.25):
        rgba = blur(f32(rgba), between(rng, 0.5, 1.6) * PX)
    return canonical(np.clip(rgba, 0, 1).astype(np.float32))


def _bent(rng: np.random.Generator, rgba: F32) -> F32:
    """A minor geometric warp: a slight shear, stretch and perspective."""
    size = rgba.shape[0]
    corners = f32([[0, 0], [size, 0], [size, size], [0, size]])
    moved = corners + rng.uniform(-0.03, 0.03, (4, 2)).astype(np.float32) * size
    warp = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.warpPerspective(rgba, warp, (size, size), flags=cv2.INTER_LINEAR)


def _choose_spot(
    rng: np.random.Generator, native: tuple[int, int], box: tuple[int, int], podium: bool
) -> tuple[Spot, float]:
    """Where the product stands and the scale that brings its (w, h) box there."""
    width, height = native
    tall = between(rng, 0.36, 0.7 if width <= height else 0.78)
    wide = between(rng, 0.36, 0.64) if podium else between(rng, 0.42, 0.86)
    scale = min(tall * height / box[1], wide * width / box[0])
    w, h = scale * box[0], scale * box[1]
    low, high = (0.66, 0.82) if podium else (0.72, 0.93)
    baseline = max(between(rng, low, high) * height, h + 0.04 * height)
    drift = rng.normal(0, 0.07) if chance(rng, 0.7) else rng.uniform(-0.25, 0.25)
    room = w / 2 + 2
    x = float(np.clip((0.5 + drift) * width, room, width - room))
    return Spot(x, min(baseline, height - 2.0), w, h), scale


def _shadow(alpha: F32, stage: Stage, spot: Spot) -> F32:
    """How much the product darkens the scene (H, W): its cast and its contact shadow."""
    height, width = alpha.shape
    lean, flat = -0.55 * stage.side, 0.2 + 0.1 * stage.hardness
    cast = f32([[1, -lean, lean * spot.baseline], [0, flat, spot.baseline * (1 - flat)]])
    thrown = cv2.warpAffine(alpha, cast, (width, height))
    thrown = blur(thrown, 1.2 * PX + 0.05 * spot.width * (1.2 - stage.hardness))
    press = f32([[1, 0, 0], [0, 0.07, spot.baseline * 0.93 + 0.6 * PX]])
    contact = blur(cv2.warpAffine(alpha, press, (width, height)), 0.8 * PX + 0.02 * spot.width)
    y = np.arange(height, dtype=np.float32)[:, None]
    ground = np.clip((y - stage.edge + 3 * PX) / (6 * PX), 0.15, 1)
    dark = 1 - (1 - (0.25 + 0.4 * stage.hardness) * thrown * ground) * (1 - 0.6 * contact)
    return np.clip(dark, 0, 1).astype(np.float32)


def _reflected(
    rgba: F32, scale: float, source: tuple[float, float], stage: Stage, spot: Spot
) -> F32:
    """The product's mirror image in the surface (H, W, 4), fading downwards."""
    height, width = stage.image.shape[:2]
    seen = _placed(rgba, scale, source, (spot.x, spot.baseline), (width, height), True)
    y = np.arange(height, dtype=np.float32)[:, None, None]
    fade = np.exp(-np.maximum(y - spot.baseline, 0) / (0.5 * spot.height))
    if stage.ripple:
        shift = 1.6 * np.sin(np.arange(height, dtype=np.float32) * 1.3)[:, None]
        xs = np.arange(width, dtype=np.float32)[None] + shift
        ys = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], xs.shape)
        seen = cv2.remap(seen, xs, ys.copy(), cv2.INTER_LINEAR)
    return blur(seen, 0.7 * PX) * f32(min(0.75, 1.5 * stage.mirror) * fade)


def sample(rng: np.random.Generator, native: tuple[int, int], split: Split) -> SynthSample:
    """One sample at the native size (width, height); the same generator state, the same sample.

    `split` picks from disjoint product families and random streams.
    """
    product, choice = make_product(rng, split), choose_scene(rng)
    yaw = between(rng, -0.2, 0.2) if chance(rng, 0.5) else 0.0
    relief = product.view(yaw)
    x0, y0, x1, y1 = bounds(relief.alpha, 0.5)
    spot, scale = _choose_spot(rng, native, (x1 - x0, y1 - y0), choice.surface == "podium")
    stage = build_stage(rng, choice, native, spot)
    foot = ((x0 + x1) / 2, float(y1))
    lit = shade(relief, stage.light)
    drawn = _placed(lit, scale, foot, (spot.x, spot.baseline), native)
    alpha = drawn[..., 3]
    ad = stage.image
    if stage.mirror > 0.1:
        glass = _reflected(lit, scale, foot, stage, spot)
        ad = ad * (1 - glass[..., 3:]) + glass[..., :3]
    ad = ad * (1 - _shadow(alpha, stage, spot))[..., None]
    ad = ad * (1 - alpha[..., None]) + drawn[..., :3]
    ad = ad + rng.normal(0, between(rng, 0.0, 0.007), ad.shape[:2])[..., None]
    mask, picture = _bytes(alpha), _reference(rng, product, yaw)
    words = colour_words(_bytes(relief.albedo), _bytes(relief.alpha))
    scene = {"world": choice.world, "surface": choice.surface, "backdrop": choice.backdrop,
             "light": choice.light, "prop": choice.prop, "tint": choice.tint,
             "wall_tint": choice.wall_tint, "family": product.family}  # fmt: skip
    text = caption(rng, choice, words, product.category)
    return SynthSample(_bytes(ad), mask, picture, frame_of(mask), text, scene)


def frame_of(mask: U8) -> tuple[float, float, float]:
    """The product frame (cx, cy, side) in px of a placed mask (H, W)."""
    x0, y0, x1, y1 = bounds(mask, 128)
    return (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) / CANONICAL_FILL


def sample_batch(
    rng: np.random.Generator, native: tuple[int, int], split: Split, count: int
) -> list[SynthSample]:
    """`count` samples of one native size."""
    return [sample(rng, native, split) for _ in range(count)]
