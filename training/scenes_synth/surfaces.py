"""What products stand on: tileable plan-view textures, made once per process.

A texture is (512, 512, 3) uint8; one texture spans about four product widths.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from training.scenes_synth.fields import F32, U8, blur, f32, fractal, mix, ramp, smoothstep, warp

TILE: Final = 512


@dataclass(frozen=True, slots=True)
class Surface:
    """A ground: its words, its texture maker, how much it mirrors (0..1), its colours' mean."""

    name: str
    phrases: tuple[str, ...]
    paint: Callable[[np.random.Generator], F32]
    mirror: float = 0.0
    zoom: float = 1.0


def _marble(rng: np.random.Generator, base: Sequence[float], vein: Sequence[float]) -> F32:
    image = ramp([np.multiply(base, 0.93), base], fractal(rng, TILE, 2.6))
    for width, strength in ((0.025, 0.75), (0.012, 0.5), (0.06, 0.25)):
        field = fractal(rng, TILE, 3.1)
        veins = np.exp(-(((field - rng.uniform(0.4, 0.6)) / width) ** 2))
        veins = veins * smoothstep(0.25, 0.7, fractal(rng, TILE, 2.5)) * strength
        image = mix(image, f32(vein) * np.ones_like(image), f32(veins))
    return image


def _wood(rng: np.random.Generator, dark: Sequence[float], light: Sequence[float]) -> F32:
    grain = fractal(rng, TILE, 1.9, (14, 1))
    rings = 0.5 + 0.5 * np.sin(fractal(rng, TILE, 2.8, (9, 1)) * 60)
    image = ramp([dark, light], f32(0.62 * grain + 0.3 * rings + 0.05))
    rows = 4
    for k in range(rows):
        top = k * TILE // rows
        plank = slice(top, top + TILE // rows)
        image[plank] = np.roll(image[plank], int(rng.integers(TILE)), 1) * rng.uniform(0.86, 1.08)
        image[top : top + 3] *= 0.45
    return image


def _grainy(
    rng: np.random.Generator, colours: Sequence[Sequence[float]], speckle: float, beta: float = 2.2
) -> F32:
    image = ramp(colours, fractal(rng, TILE, beta))
    grain = blur(rng.standard_normal((TILE, TILE)).astype(np.float32), 0.8)
    return image * (1 + speckle * grain[..., None])


def _sand(rng: np.random.Generator) -> F32:
    field = fractal(rng, TILE, 2.4)
    y = np.arange(TILE, dtype=np.float32)[:, None] / TILE
    ripples = 0.5 + 0.5 * np.sin(2 * np.pi * 9 * y + 14 * fractal(rng, TILE, 3.2))
    image = ramp([(0.72, 0.57, 0.4), (0.93, 0.82, 0.64)], f32(0.55 * field + 0.45 * ripples))
    return image * (1 + 0.06 * rng.standard_normal((TILE, TILE, 1)).astype(np.float32))


def _grass(rng: np.random.Generator) -> F32:
    image = np.full((TILE, TILE, 3), (30, 62, 18), np.uint8)
    tint = fractal(rng, TILE, 2.5)
    for k in range(5200):
        x, y = rng.integers(TILE, size=2)
        length, lean = rng.uniform(10, 30), rng.normal(0, 0.5)
        bright = 0.45 + 0.55 * k / 5200
        level = tint[y, x]
        colour = np.array([70 + 90 * level, 135 + 60 * level, 35 + 30 * level]) * bright
        tip = (int(x + length * lean), int(y - length))
        cv2.line(
            image, (int(x), int(y)), tip, colour.tolist(), int(rng.integers(1, 4)), cv2.LINE_AA
        )
    return image.astype(np.float32) / 255


def _cloth(rng: np.random.Generator, colour: Sequence[float], folds: float) -> F32:
    base = fractal(rng, TILE, 3.4, (1.0, 2.0))
    slope = cv2.Sobel(blur(base, 3), cv2.CV_32F, 0, 1, scale=folds)
    light = np.clip(0.92 + slope, 0.55, 1.12)
    threads = np.sin(np.arange(TILE) * 2 * np.pi / 4)
    woven = 1 + 0.04 * (threads[None] * np.ones((TILE, 1)) + threads[:, None])
    woven = woven + 0.05 * fractal(rng, TILE, 0.6, (8, 1)) + 0.05 * fractal(rng, TILE, 0.6, (1, 8))
    return (f32(colour) * (light * woven)[..., None]).astype(np.float32)


def _water(rng: np.random.Generator) -> F32:
    field = fractal(rng, TILE, 2.6, (3.0, 1.0))
    waves = 0.5 + 0.5 * np.sin(26 * field + 5 * fractal(rng, TILE, 2.0, (2, 1)))
    tones = [(0.05, 0.3, 0.42), (0.14, 0.5, 0.62), (0.45, 0.75, 0.82), (0.93, 0.98, 1.0)]
    return ramp(tones, f32(0.25 * field + 0.75 * waves**3))


def _rock(rng: np.random.Generator) -> F32:
    height = blur(np.abs(fractal(rng, TILE, 3.0) - 0.5) * 2 + 0.5 * fractal(rng, TILE, 3.0), 3.0)
    light = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1.5) + cv2.Sobel(
        height, cv2.CV_32F, 0, 1, scale=2
    )
    tones = ramp(
        [(0.36, 0.36, 0.36), (0.52, 0.51, 0.48), (0.64, 0.61, 0.56)], fractal(rng, TILE, 2.2)
    )
    grain = blur(rng.standard_normal((TILE, TILE)).astype(np.float32), 1.0)
    return tones * (np.clip(1 + light, 0.6, 1.35) + 0.08 * grain)[..., None]


def _snow(rng: np.random.Generator) -> F32:
    bumps = blur(fractal(rng, TILE, 3.2), 5)
    light = cv2.Sobel(bumps, cv2.CV_32F, 0, 1, scale=5) + cv2.Sobel(
        bumps, cv2.CV_32F, 1, 0, scale=4
    )
    sparkle = (rng.random((TILE, TILE)) > 0.995).astype(np.float32) * 0.15
    return ramp([(0.72, 0.8, 0.92), (0.93, 0.95, 0.99), (1, 1, 1)], 0.62 + light + sparkle)


def _tiles(rng: np.random.Generator, colour: Sequence[float], grout: Sequence[float]) -> F32:
    n, step = 4, TILE // 4
    image = np.zeros((TILE, TILE, 3), np.float32)
    for i in range(n):
        for j in range(n):
            tone = f32(colour) * rng.uniform(0.88, 1.08)
            image[i * step : (i + 1) * step, j * step : (j + 1) * step] = tone
    image = image * (0.94 + 0.1 * fractal(rng, TILE, 2.4)[..., None])
    at = np.abs((np.arange(TILE) + step / 2) % step - step / 2)
    gap = np.maximum(smoothstep(7, 4, f32(at))[None], smoothstep(7, 4, f32(at))[:, None])
    return mix(image, f32(grout) * np.ones_like(image), gap)


def _terrazzo(rng: np.random.Generator) -> F32:
    image = np.full((TILE, TILE, 3), (238, 233, 226), np.uint8)
    chips = [(196, 122, 98), (90, 110, 116), (222, 178, 120), (150, 160, 140), (120, 90, 80)]
    for _ in range(420):
        at, size = rng.integers(TILE, size=2), rng.uniform(4, 15)
        corners = at + rng.normal(0, size, (5, 2))
        hull = cv2.convexHull(corners.astype(np.int32))
        cv2.fillConvexPoly(image, hull, chips[int(rng.integers(5))], cv2.LINE_AA)
    return image.astype(np.float32) / 255


def _satin(rng: np.random.Generator, colour: Sequence[float]) -> F32:
    field = blur(fractal(rng, TILE, 4.6, (1.0, 1.8)), 10)
    folded = warp(field, 50 * fractal(rng, TILE, 4.4), 50 * fractal(rng, TILE, 4.4))
    sheen = blur(f32(0.5 + 0.5 * np.sin(folded * 9)), 8)
    tones = [np.multiply(colour, 0.62), colour, np.add(np.multiply(colour, 0.75), 0.2)]
    return ramp(tones, sheen)


def _asphalt(rng: np.random.Generator) -> F32:
    image = _grainy(rng, [(0.07, 0.07, 0.09), (0.18, 0.18, 0.21)], 0.25, 1.2)
    wet = smoothstep(0.4, 0.65, fractal(rng, TILE, 2.8))
    return mix(image, f32([0.06, 0.07, 0.1]) * np.ones_like(image), wet * 0.7)


def _plain(value: float) -> Callable[[np.random.Generator], F32]:
    return lambda rng: _grainy(rng, [(value * 0.97,) * 3, (value,) * 3], 0.006, 3.0)


WHITE_MARBLE: Final = ((0.94, 0.94, 0.95), (0.5, 0.5, 0.54))
BLACK_MARBLE: Final = ((0.09, 0.09, 0.1), (0.75, 0.68, 0.55))
SURFACES: Final[dict[str, Surface]] = {
    s.name: s
    for s in (
        Surface("white-marble", ("a white marble table", "white marble"),
                lambda r: _marble(r, *WHITE_MARBLE), 0.22),
        Surface("black-marble", ("a black marble table", "black marble"),
                lambda r: _marble(r, *BLACK_MARBLE), 0.3),
        Surface("oak", ("a light wooden table", "a light wood table"),
                lambda r: _wood(r, (0.6, 0.42, 0.25), (0.87, 0.7, 0.5)), 0.06),
        Surface("walnut", ("a dark wooden table", "a dark wood table"),
                lambda r: _wood(r, (0.16, 0.085, 0.05), (0.44, 0.27, 0.16)), 0.1),
        Surface("concrete", ("a concrete slab", "grey concrete"),
                lambda r: _grainy(r, [(0.5, 0.5, 0.5), (0.7, 0.7, 0.69)], 0.05, 2.0), 0.03),
        Surface("sand", ("beach sand", "golden sand"), _sand),
        Surface("grass", ("green grass", "a green meadow"), _grass),
        Surface("linen", ("a linen cloth", "beige linen"),
                lambda r: _cloth(r, (0.87, 0.81, 0.71), 0.8)),
        Surface("satin", ("pink satin", "a pink satin cloth"),
                lambda r: _satin(r, (0.9, 0.6, 0.66)), 0.04),
        Surface("velvet", ("red velvet", "a red velvet cloth"),
                lambda r: _satin(r, (0.5, 0.04, 0.08))),
        Surface("water", ("clear water", "blue water"), _water, 0.3),
        Surface("rock", ("a rough stone", "a grey rock"), _rock, 0.0),
        Surface("snow", ("white snow", "fresh snow"), _snow),
        Surface("blue-tiles", ("blue tiles", "a blue tiled floor"),
                lambda r: _tiles(r, (0.2, 0.45, 0.66), (0.88, 0.9, 0.9)), 0.25),
        Surface("terracotta", ("terracotta tiles", "a terracotta floor"),
                lambda r: _tiles(r, (0.76, 0.42, 0.28), (0.82, 0.74, 0.65)), 0.06),
        Surface("terrazzo", ("a terrazzo table", "terrazzo"), _terrazzo, 0.15),
        Surface("asphalt", ("wet asphalt", "a wet street"), _asphalt, 0.5),
        Surface("studio", ("a {colour} studio floor", "a {colour} seamless floor"),
                _plain(0.95), 0.05),
        Surface("acrylic", ("a glossy {colour} table", "a glossy {colour} floor"),
                _plain(0.9), 0.42),
        Surface("podium", ("a round {colour} podium", "a {colour} podium"), _plain(0.95), 0.06),
    )
}  # fmt: skip

VARIANTS: Final = 3


@cache
def texture(name: str, variant: int, shrink: int = 1) -> U8:
    """The plan-view texture (512, 512, 3) // shrink; always the same for the same arguments."""
    if shrink > 1:
        size = TILE // shrink
        return cv2.resize(texture(name, variant), (size, size), interpolation=cv2.INTER_AREA)
    seed = [4211, sorted(SURFACES).index(name), variant]
    image = SURFACES[name].paint(np.random.default_rng(seed))
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)
