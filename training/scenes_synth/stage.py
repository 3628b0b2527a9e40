"""Builds the empty scene: surface in perspective, backdrop, light and props."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from training.scenes_synth import backdrops, props, surfaces
from training.scenes_synth.fields import F32, between, blur, chance, f32, grid, mix, smoothstep
from training.scenes_synth.grammar import TINTS, SceneChoice
from training.scenes_synth.lighting import LIGHTS, LightKind, gobo, on_product
from training.scenes_synth.relief import Light
from training.scenes_synth.scale import PX

OUTDOOR: Final = frozenset({"sand", "grass", "rock", "snow", "water", "asphalt"})
TINTED: Final = frozenset({"studio", "acrylic", "podium"})


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the product stands, native px: centre x, baseline y, width and height."""

    x: float
    baseline: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Stage:
    """The empty scene (H, W, 3) and what the product needs to know of it."""

    image: F32
    light: Light
    side: float  # where the key light comes from: -1 left .. 1 right
    mirror: float
    edge: float  # y of the far end of the surface, px
    hardness: float  # of shadows, 0..1
    ripple: bool


def build_stage(
    rng: np.random.Generator, choice: SceneChoice, native: tuple[int, int], spot: Spot
) -> Stage:
    """Paints the scene around the place where the product will stand."""
    width, height = native
    kind = LIGHTS[choice.light]
    edge = _edge(rng, choice, height, spot)
    side = between(rng, 0.35, 1.0) * (1 if chance(rng, 0.5) else -1)
    wall = _backdrop(rng, choice, native, edge)
    ground = _ground(rng, choice, native, edge, spot)
    mirror = surfaces.SURFACES[choice.surface].mirror
    if mirror > 0:
        ground = _mirrored(ground, wall, edge, mirror)
    key = gobo(rng, kind.gobo, height, width)
    ground = ground * _illumination(kind, key, native, spot, side)
    wall = wall * _wall_light(choice, kind, key, native, spot)
    if kind.pool > 0.5 and choice.backdrop == "wall":
        wall = wall + _halo(native, spot) * (0.22 * f32(kind.key))
    seamless = choice.surface in ("studio", "podium") and choice.backdrop == "wall"
    soft = 0.09 * height if seamless else (0.9 if choice.surface not in OUTDOOR else 1.6) * PX
    y = np.arange(height, dtype=np.float32)[:, None] + np.zeros((1, width), np.float32)
    image = mix(wall, ground, smoothstep(edge - soft, edge + soft, y))
    if choice.surface == "podium":
        image = _podium(rng, image, choice, kind, spot, side)
    bounce = ground[int(edge) + 2 :].mean((0, 1))
    light = Light(
        (0.75 * side, -0.6, 0.62),
        on_product(kind, kind.key, 1.12), on_product(kind, kind.ambient, 1.06),
        _scaled(bounce, 0.22),
    )  # fmt: skip
    if choice.prop:
        image = _with_props(rng, image, choice, kind, spot, edge)
    image = _finished(rng, image, native, 1.02 if kind.pool > 0.5 else 1.13)
    hardness = 0.5 if kind.gobo or kind.pool > 0.5 else between(rng, 0.15, 0.45)
    return Stage(image, light, side, mirror, edge, hardness, choice.surface == "water")


def _scaled(tone: Sequence[float], factor: float) -> tuple[float, float, float]:
    r, g, b = (float(c) * factor for c in tone)
    return r, g, b


def _edge(rng: np.random.Generator, choice: SceneChoice, height: int, spot: Spot) -> float:
    low = spot.baseline - (0.34 if choice.surface in OUTDOOR else 0.3) * height
    edge = between(rng, low, spot.baseline - 0.07 * height)
    return float(np.clip(edge, 0.3 * height, 0.86 * height))


def _backdrop(
    rng: np.random.Generator, choice: SceneChoice, native: tuple[int, int], edge: float
) -> F32:
    """The background (H, W, 3), its bottom row at the surface's edge."""
    width = native[0]
    image = backdrops.picture(choice.backdrop, int(rng.integers(backdrops.VARIANTS)))
    tall = edge + 3
    zoom = between(rng, 1.0, 1.35) * max(width, tall) / backdrops.SIDE
    slack = max(0.0, backdrops.SIDE * zoom - width)
    shift = -between(rng, 0, slack)
    flip = -1.0 if chance(rng, 0.5) else 1.0
    offset = width - shift if flip < 0 else shift
    warp = f32([[flip * zoom, 0, offset], [0, zoom, tall - backdrops.SIDE * zoom]])
    placed = cv2.warpAffine(image, warp, native, flags=cv2.INTER_AREA,
                            borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    wall = placed.astype(np.float32) / 255
    if backdrops.BACKDROPS[choice.backdrop].wall:
        wall = wall * f32(TINTS[choice.wall_tint])
    return blur(wall, between(rng, 0.4, 1.2) * PX)


def _ground(
    rng: np.random.Generator, choice: SceneChoice, native: tuple[int, int], edge: float, spot: Spot
) -> F32:
    """The surface in perspective (H, W, 3); above its edge the colours just go on."""
    width, height = native
    variant = int(rng.integers(surfaces.VARIANTS))
    rise = (0.05 if choice.surface in OUTDOOR else between(rng, 0.15, 0.4)) * height
    vanish = edge - rise
    x, y = grid(height, width)
    depth = (spot.baseline - vanish) / np.maximum(y * height - vanish, rise * 0.8)
    span = surfaces.TILE / (between(rng, 1.5, 2.6) * min(native))
    u = ((x - 0.5) * width * depth * span + between(rng, 0, 512)).astype(np.float32)
    v = (depth * span * between(rng, 0.9, 1.4) * min(native) + between(rng, 0, 512)).astype(
        np.float32
    )
    if chance(rng, 0.3):  # turned by a quarter, so that planks run away from us
        u, v = v, u
    near = _sampled(choice.surface, variant, u, v, 2)
    far = _sampled(choice.surface, variant, u, v, 8)
    blurred = smoothstep(1.15, 2.0, depth)
    image = mix(near, far, blurred)
    if choice.surface in TINTED:
        image = image * f32(TINTS[choice.tint])
    return image


def _sampled(name: str, variant: int, u: F32, v: F32, shrink: int) -> F32:
    """The texture looked up at (u, v) in its full-size px, prefiltered by `shrink`."""
    tile = surfaces.texture(name, variant, shrink)
    image = cv2.remap(tile, u / shrink % len(tile), v / shrink % len(tile), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_WRAP)  # fmt: skip
    return image.astype(np.float32) / 255


def _mirrored(ground: F32, wall: F32, edge: float, mirror: float) -> F32:
    """Lays the backdrop's reflection over the surface."""
    height, width = ground.shape[:2]
    flip = f32([[1, 0, 0], [0, -1, 2 * edge]])
    seen = cv2.warpAffine(wall, flip, (width, height), borderMode=cv2.BORDER_REFLECT)
    return mix(ground, blur(seen, 2.5 * PX), mirror)


def _illumination(
    kind: LightKind, key: F32, native: tuple[int, int], spot: Spot, side: float
) -> F32:
    """Light on the surface as a factor (H, W, 3)."""
    width, height = native
    x, y = grid(height, width)
    fall = 1 - 0.28 * (x - 0.5) * -side - 0.0 * y
    reach = 0.55 * max(native)
    far = ((x * width - spot.x) / reach) ** 2 + ((y * height - spot.baseline) / (0.7 * reach)) ** 2
    pool = 1 - kind.pool + kind.pool * 1.25 * np.exp(-1.6 * far)
    lit = (key * fall * pool)[..., None] * f32(kind.key)
    return lit + f32(kind.ambient) * (0.35 + 0.65 * pool[..., None])


def _wall_light(
    choice: SceneChoice, kind: LightKind, key: F32, native: tuple[int, int], spot: Spot
) -> F32:
    """Light on the backdrop as a factor: walls take the scene's light, vistas keep their own."""
    tone = f32(kind.key) + f32(kind.ambient)
    if choice.backdrop in ("wall", "curtain", "bricks"):
        width, height = native
        x, y = grid(height, width)
        far = ((x * width - spot.x) / width) ** 2 + (
            (y * height - spot.baseline + spot.height / 2) / height
        ) ** 2
        pool = 1 - kind.pool + kind.pool * np.exp(-5 * far)
        lit = (key * pool)[..., None] * f32(kind.key) + f32(kind.ambient)
        return lit * (0.35 + 0.65 * kind.dim)
    return np.broadcast_to((0.45 + 0.55 * tone) * kind.dim, (native[1], native[0], 3))


def _halo(native: tuple[int, int], spot: Spot) -> F32:
    """A glow (H, W, 1) on the wall behind the product, which parts it from a dark ground."""
    width, height = native
    x, y = grid(height, width)
    middle = spot.baseline - 0.55 * spot.height
    far = ((x * width - spot.x) / (0.42 * width)) ** 2 + (
        (y * height - middle) / (0.36 * height)
    ) ** 2
    return np.exp(-far)[..., None].astype(np.float32)


def _podium(
    rng: np.random.Generator,
    image: F32,
    choice: SceneChoice,
    kind: LightKind,
    spot: Spot,
    side: float,
) -> F32:
    """Puts a round pedestal under the product."""
    height, width = image.shape[:2]
    rx = max(spot.width * between(rng, 0.62, 0.8), 0.2 * min(height, width))
    ry, tall = rx * between(rng, 0.18, 0.26), between(rng, 0.08, 0.2) * height
    cy = spot.baseline - ry * 0.2
    tone = f32(TINTS[choice.tint]) * (f32(kind.key) + f32(kind.ambient))
    x = (np.arange(width, dtype=np.float32) - spot.x) / rx
    bend = 0.62 + 0.3 * np.clip(1 - (x - 0.45 * side) ** 2, 0, 1)
    body = np.broadcast_to(tone * bend[None, :, None], image.shape).astype(np.float32)
    at = lambda y: (round(spot.x * 16), round(y * 16))  # noqa: E731
    axes = (round(rx * 16), round(ry * 16))
    skirt, top = np.zeros((2, height, width), np.uint8)
    cv2.ellipse(skirt, at(cy + tall), axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    rect = f32([[-rx, cy], [rx, cy], [rx, cy + tall], [-rx, cy + tall]]) + f32([spot.x, 0])
    cv2.fillConvexPoly(skirt, (rect * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    cv2.ellipse(top, at(cy), axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    shadow = cv2.warpAffine(skirt, f32([[1, 0, -side * 0.16 * rx], [0, 1, 0.02 * height]]),
                            (width, height)).astype(np.float32) / 255  # fmt: skip
    image = image * (1 - 0.35 * blur(shadow, 5.0 * PX))[..., None]
    image = mix(image, body, skirt.astype(np.float32) / 255)
    lit = np.broadcast_to(np.minimum(tone * 1.02, 1.0), image.shape).astype(np.float32)
    return mix(image, lit, top.astype(np.float32) / 255)


def _with_props(
    rng: np.random.Generator,
    image: F32,
    choice: SceneChoice,
    kind: LightKind,
    spot: Spot,
    edge: float,
) -> F32:
    """Strews the scene's props around the product, the far ones first."""
    prop = props.PROPS[choice.prop]
    height, width = image.shape[:2]
    low, high = max(edge + 2, spot.baseline - 0.16 * height), 1.02 * height
    count = int(rng.integers(prop.count[0], prop.count[1] + 1))
    for foot in sorted(rng.uniform(low, high, count)):
        away = spot.width * between(rng, 0.45, 0.75) + between(rng, 0, 0.16) * width
        x = spot.x + away * (1 if chance(rng, 0.5) else -1)
        near = (foot - edge + 0.2 * height) / (spot.baseline - edge + 0.2 * height)
        size = between(rng, *prop.size) * min(height, width) * near
        if prop.hangs and chance(rng, 0.45):
            corner = (0 if chance(rng, 0.5) else width, between(rng, -0.05, 0.3) * height)
            turn = np.arctan2(0.4 * height - corner[1], width / 2 - corner[0])
            image = _stamp(rng, image, prop, kind, corner, size * 1.5, turn + np.pi / 2, 1.4)
            continue
        tilt = between(rng, -0.25, 0.25) if not prop.lies else between(rng, -0.5, 0.5)
        image = _stamp(rng, image, prop, kind, (x, foot), size, tilt, abs(near - 1) * 2.2, True)
    return image


def _stamp(
    rng: np.random.Generator, image: F32, prop: props.Prop, kind: LightKind,
    foot: tuple[float, float], size: float, turn: float, defocus: float, stands: bool = False,
) -> F32:  # fmt: skip
    """Draws one sprite with the middle of its lower edge at `foot`, with its shadow."""
    height, width = image.shape[:2]
    sprite = props.sprite(prop.name, int(rng.integers(props.VARIANTS)))
    side = int(np.clip(size * 1.5, 16, props.SPRITE))
    sprite = cv2.resize(sprite, (side, side), interpolation=cv2.INTER_AREA)
    scale, squash = size / side, (0.62 if prop.lies and stands else 1.0)
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    pivot = (side / 2, side * 0.95)
    warp = f32([[c, -s, 0], [s * squash, c * squash, 0]])
    warp[:, 2] = f32(foot) - warp[:, :2] @ f32(pivot)
    drawn = blur(cv2.warpAffine(sprite, warp, (width, height)), defocus)
    tone = f32(kind.key) * 0.95 + f32(kind.ambient)
    alpha = drawn[..., 3:]
    if stands:
        fall = f32([[1, 0, 1.0], [0, 1, max(1.0, 0.04 * size)]])
        under = cv2.warpAffine(drawn[..., 3], fall, (width, height))
        image = image * (1 - 0.4 * blur(under, 0.5 * PX + size * 0.05))[..., None]
    return image * (1 - alpha) + drawn[..., :3] * tone


def _finished(
    rng: np.random.Generator, image: F32, native: tuple[int, int], exposure: float
) -> F32:
    """Exposure, vignette, saturation; highlights roll off instead of clipping."""
    width, height = native
    x, y = grid(height, width)
    corner = ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
    image = image * (1 - between(rng, 0.02, 0.28) * corner)[..., None]
    image = image * (exposure * between(rng, 0.94, 1.08))
    grey = image.mean(-1, keepdims=True)
    image = grey + (image - grey) * between(rng, 0.92, 1.15)
    over = np.maximum(image - 0.8, 0)
    image = np.minimum(image, 0.8) + 0.2 * (1 - np.exp(-over / 0.2))
    return np.clip(image, 0, 1).astype(np.float32)
