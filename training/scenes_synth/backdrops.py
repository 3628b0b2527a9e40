"""What is seen behind products: pictures that end at the horizon, made once per process.

A picture is (256, 256, 3) uint8, its last row meeting the surface. Most are out of focus.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from training.scenes_synth.fields import (
    F32,
    U8,
    blobs,
    blur,
    f32,
    flat,
    fractal,
    grid,
    mix,
    ramp,
    smoothstep,
)
from training.scenes_synth.palette import hsv

SIDE: Final = 256


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A background: its words, its painter, and whether it is the studio wall (tinted later)."""

    name: str
    phrases: tuple[str, ...]
    paint: Callable[[np.random.Generator], F32]
    wall: bool = False


def _lights(
    rng: np.random.Generator, image: F32, count: int, hues: tuple[float, ...], radius: float,
    low: float = 0.0, high: float = 1.0, saturation: float = 0.75,
) -> F32:  # fmt: skip
    """Adds discs of out-of-focus light."""
    glow = np.zeros((SIDE, SIDE, 3), np.float32)
    for _ in range(count):
        disc = np.zeros((SIDE, SIDE), np.uint8)
        at = (int(rng.integers(SIDE)), int(rng.uniform(low, high) * SIDE))
        size = int(radius * rng.uniform(0.4, 1.3) * SIDE)
        cv2.circle(disc, at, size, 190, -1, cv2.LINE_AA)
        cv2.circle(disc, at, size, 255, 2, cv2.LINE_AA)
        hue = hues[int(rng.integers(len(hues)))] + rng.normal(0, 0.015)
        colour = f32(hsv(hue, saturation * rng.uniform(0.5, 1), 1.0))
        glow += disc[..., None] / 255 * colour * rng.uniform(0.15, 0.6)
    return 1 - (1 - np.clip(image, 0, 1)) * (1 - np.clip(blur(glow, 1.5), 0, 1))


def _sky(rng: np.random.Generator, colours: list[tuple[float, float, float]], cloud: float) -> F32:
    _, y = grid(SIDE, SIDE)
    image = ramp(colours, y)
    field = fractal(rng, SIDE, 2.7, (2.2, 1.0))
    puffs = smoothstep(0.52, 0.8, field) * cloud
    lit = np.minimum(1.0, ramp([colours[-1], (1, 1, 1)], field) + 0.05)
    return mix(image, lit, puffs)


def _sea(rng: np.random.Generator) -> F32:
    image = _sky(rng, [(0.25, 0.55, 0.86), (0.55, 0.78, 0.94), (0.86, 0.94, 0.98)], 0.8)
    line = int(SIDE * rng.uniform(0.6, 0.72))
    t = np.linspace(0, 1, SIDE - line, dtype=np.float32)[:, None] * np.ones((1, SIDE), np.float32)
    water = ramp([(0.1, 0.4, 0.6), (0.15, 0.6, 0.7), (0.5, 0.83, 0.82)], t)
    waves = fractal(rng, SIDE, 1.8, (12, 1))[line:]
    image[line:] = water * (0.85 + 0.3 * waves[..., None])
    foam = smoothstep(0.8, 0.9, t + 0.15 * waves)
    image[line:] = mix(image[line:], np.ones_like(image[line:]), foam * 0.7)
    return blur(image, 1.6)


def _sunset(rng: np.random.Generator) -> F32:
    tones = [(0.2, 0.2, 0.45), (0.55, 0.3, 0.5), (0.95, 0.5, 0.35), (1.0, 0.78, 0.42)]
    _, y = grid(SIDE, SIDE)
    image = ramp(tones, y)
    streaks = smoothstep(0.55, 0.8, fractal(rng, SIDE, 2.5, (5, 1)))
    image = mix(image, ramp([(0.5, 0.25, 0.4), (1, 0.6, 0.4)], y), streaks * 0.75)
    sun = (rng.uniform(0.2, 0.8), rng.uniform(0.72, 0.9))
    x, y = grid(SIDE, SIDE)
    far = np.sqrt((x - sun[0]) ** 2 + (y - sun[1]) ** 2)
    image = image + np.exp(-far * 7)[..., None] * f32([0.55, 0.38, 0.15])
    return blur(mix(image, flat(SIDE, SIDE, (1, 0.95, 0.75)), smoothstep(0.065, 0.045, far)), 1.5)


def _mountains(rng: np.random.Generator) -> F32:
    image = _sky(rng, [(0.36, 0.58, 0.85), (0.7, 0.83, 0.94), (0.95, 0.95, 0.95)], 0.5)
    x = np.arange(SIDE)
    for k, depth in enumerate((0.2, 0.5, 1.0)):
        ridge = sum(
            rng.normal() / n**1.1 * np.sin(2 * np.pi * n * x / SIDE + rng.uniform(0, 6.3))
            for n in range(1, 24)
        )
        top = SIDE * (0.42 + 0.16 * k) + ridge * SIDE * 0.055
        below = smoothstep(-1, 1, np.arange(SIDE, dtype=np.float32)[:, None] - f32(top)[None])
        tone = f32([0.62, 0.7, 0.82]) * (1 - depth) + f32([0.17, 0.27, 0.27]) * depth
        haze = np.linspace(0, 0.35, SIDE, dtype=np.float32)[:, None, None]
        body = flat(SIDE, SIDE, tone) * (0.85 + 0.3 * fractal(rng, SIDE, 2.0)[..., None]) + haze * (
            1 - depth
        )
        if k < 2:
            cap = smoothstep(34, 8, np.arange(SIDE)[:, None] - f32(top)[None])
            cap = cap * smoothstep(0.35, 0.6, fractal(rng, SIDE, 2.0))
            body = mix(body, np.ones_like(body) * 0.95, cap)
        image = mix(image, body, below)
    return blur(image, 2.0)


def _forest(rng: np.random.Generator) -> F32:
    _, y = grid(SIDE, SIDE)
    image = ramp(
        [(0.55, 0.72, 0.35), (0.3, 0.5, 0.2), (0.1, 0.24, 0.1)],
        f32(y * 0.8 + 0.2 * fractal(rng, SIDE, 2.2)),
    )
    for k in range(13):
        x, wide = rng.uniform(0, SIDE), rng.uniform(3, 11)
        lean, tone = rng.normal(0, 10), rng.uniform(0.5, 1.0)
        trunk = np.zeros((SIDE, SIDE), np.uint8)
        body = np.array([[x, 0], [x + wide, 0], [x + wide + lean + 3, SIDE], [x + lean - 3, SIDE]])
        cv2.fillConvexPoly(trunk, body.astype(np.int32), 255, cv2.LINE_AA)
        colour = f32([0.25, 0.19, 0.12]) * tone
        image = mix(
            image, flat(SIDE, SIDE, colour), trunk.astype(np.float32) / 255 * (0.3 + 0.05 * k)
        )
    image = mix(
        image,
        flat(SIDE, SIDE, (0.93, 0.95, 0.62)),
        0.65 * smoothstep(0.62, 0.95, fractal(rng, SIDE, 2.4)),
    )
    return _lights(rng, blur(image, 4.5), 26, (0.2, 0.25, 0.17), 0.045, 0, 0.75)


def _garden(rng: np.random.Generator) -> F32:
    _, y = grid(SIDE, SIDE)
    image = ramp(
        [(0.62, 0.8, 0.5), (0.35, 0.6, 0.3), (0.2, 0.42, 0.18)],
        f32(y * 0.7 + 0.3 * fractal(rng, SIDE, 2.0)),
    )
    flowers = np.zeros((SIDE, SIDE, 3), np.uint8)
    cover = np.zeros((SIDE, SIDE), np.uint8)
    hues = rng.choice([0.0, 0.92, 0.85, 0.13, 0.75, 0.97], 3)
    for _ in range(70):
        at = (int(rng.integers(SIDE)), int(SIDE * rng.uniform(0.3, 1)))
        colour = [int(255 * c) for c in hsv(float(rng.choice(hues)), rng.uniform(0.25, 0.75), 1.0)]
        size = int(rng.integers(5, 14))
        cv2.circle(flowers, at, size, colour, -1)
        cv2.circle(cover, at, size, 255, -1)
    soft = blur(cover.astype(np.float32) / 255, 3.5)
    image = blur(image, 4) * (1 - soft[..., None]) + blur(flowers.astype(np.float32) / 255, 3.5)
    return _lights(rng, image, 14, (0.2, 0.15), 0.04, 0, 0.5, 0.4)


def _boxes(
    rng: np.random.Generator, image: F32, count: int, tones: list[tuple[float, float, float]],
    low: float, high: float,
) -> None:  # fmt: skip
    for _ in range(count):
        x, w = int(rng.uniform(-0.1, 1) * SIDE), int(rng.uniform(0.06, 0.3) * SIDE)
        y, h = int(rng.uniform(low, high) * SIDE), int(rng.uniform(0.08, 0.3) * SIDE)
        tone = f32(tones[int(rng.integers(len(tones)))]) * rng.uniform(0.85, 1.1)
        image[max(y, 0) : y + h, max(x, 0) : max(x + w, 0)] = tone


def _kitchen(rng: np.random.Generator) -> F32:
    wall = flat(SIDE, SIDE, (0.9, 0.88, 0.84))
    cabinet = [(0.8, 0.8, 0.77), (0.66, 0.71, 0.68), (0.75, 0.62, 0.48), (0.95, 0.94, 0.92)]
    _boxes(rng, wall, 7, cabinet, 0.0, 0.2)
    _boxes(rng, wall, 8, cabinet, 0.62, 0.8)
    x = int(rng.uniform(0.05, 0.6) * SIDE)
    wall[int(0.1 * SIDE) : int(0.55 * SIDE), x : x + int(0.3 * SIDE)] = (1.0, 1.0, 0.97)
    shelf = int(rng.uniform(0.38, 0.5) * SIDE)
    wall[shelf : shelf + 6] *= 0.7
    _boxes(
        rng,
        wall,
        9,
        [(0.7, 0.3, 0.2), (0.3, 0.45, 0.3), (0.9, 0.75, 0.4), (0.85, 0.85, 0.85)],
        0.52,
        0.6,
    )
    wall[int(0.86 * SIDE) :] = (0.72, 0.6, 0.47)
    wall = blur(wall, 6)
    return _lights(rng, wall, 5, (0.11,), 0.05, 0.0, 0.3, 0.4)


def _living_room(rng: np.random.Generator) -> F32:
    room = flat(SIDE, SIDE, hsv(rng.uniform(0.06, 0.15), rng.uniform(0.05, 0.2), 0.85))
    sofa = hsv(float(rng.choice([0.08, 0.55, 0.35, 0.6])), 0.3, rng.uniform(0.45, 0.8))
    x = int(rng.uniform(-0.1, 0.4) * SIDE)
    room[int(0.55 * SIDE) :, max(x, 0) : x + int(0.65 * SIDE)] = sofa
    room[int(0.72 * SIDE) :, max(x, 0) : x + int(0.65 * SIDE)] = f32(sofa) * 0.85
    _boxes(rng, room, 3, [(0.95, 0.9, 0.85), (0.8, 0.5, 0.35), (0.3, 0.4, 0.42)], 0.12, 0.2)
    _boxes(rng, room, 3, [(0.9, 0.6, 0.4), (0.95, 0.92, 0.86), (0.45, 0.55, 0.5)], 0.6, 0.64)
    leaves = smoothstep(0.5, 0.6, fractal(rng, SIDE, 1.9)) * smoothstep(0.25, 0.1, np.abs(
        f32(np.arange(SIDE) / SIDE - rng.uniform(0.7, 0.95)))[None]) * smoothstep(
        0.2, 0.4, grid(SIDE, SIDE)[1])  # fmt: skip
    room = mix(room, flat(SIDE, SIDE, (0.2, 0.42, 0.2)), leaves)
    return _lights(rng, blur(room, 5.5), 3, (0.1,), 0.09, 0.1, 0.4, 0.5)


def _city_night(rng: np.random.Generator) -> F32:
    _, y = grid(SIDE, SIDE)
    image = ramp([(0.03, 0.04, 0.12), (0.1, 0.08, 0.22), (0.22, 0.12, 0.26)], y)
    for _ in range(16):
        x, w = int(rng.integers(SIDE)), int(rng.integers(14, 42))
        top = int(rng.uniform(0.15, 0.6) * SIDE)
        image[top:, x : x + w] = f32([0.05, 0.06, 0.11]) * rng.uniform(0.6, 1.6)
        windows = rng.random((SIDE // 8, w // 5 + 1)) > 0.6
        big = np.kron(windows, np.pad(np.ones((4, 3)), ((0, 4), (0, 2))))[: SIDE - top]
        patch = image[top : top + big.shape[0], x : x + w]
        patch += big[: patch.shape[0], : patch.shape[1], None] * f32([0.85, 0.68, 0.35])
    image = blur(image, 3)
    return _lights(rng, image, 34, (0.08, 0.11, 0.95, 0.55, 0.83), 0.04, 0.35, 1.0)


def _bokeh(rng: np.random.Generator, warm: bool) -> F32:
    x, y = grid(SIDE, SIDE)
    tones = (
        [(0.16, 0.07, 0.03), (0.42, 0.22, 0.09)]
        if warm
        else [(0.03, 0.04, 0.14), (0.16, 0.1, 0.36)]
    )
    image = ramp(tones, f32(1 - np.hypot(x - 0.5, y - 0.6) * 1.3))
    hues = (0.08, 0.11, 0.13, 0.05) if warm else (0.55, 0.62, 0.8, 0.9)
    image = _lights(rng, image, 22, hues, 0.075, 0, 0.95)
    return _lights(rng, image, 30, hues, 0.035, 0, 0.95)


def _neon(rng: np.random.Generator) -> F32:
    image = ramp([(0.05, 0.02, 0.1), (0.11, 0.05, 0.2)], fractal(rng, SIDE, 2.5))
    for hue in rng.permutation([0.9, 0.55, 0.78])[:2]:
        tube = np.zeros((SIDE, SIDE), np.uint8)
        if rng.random() < 0.5:
            cv2.circle(tube, (int(rng.integers(60, 196)), int(rng.integers(70, 170))),
                       int(rng.integers(35, 80)), 255, 5, cv2.LINE_AA)  # fmt: skip
        else:
            x0, x1 = rng.integers(0, SIDE, 2)
            cv2.line(
                tube,
                (int(x0), int(rng.integers(0, 90))),
                (int(x1), int(rng.integers(130, 240))),
                255,
                5,
                cv2.LINE_AA,
            )
        line = tube.astype(np.float32) / 255
        glow = 4.5 * blur(line, 16) + 2.0 * blur(line, 36)
        image = image + glow[..., None] * f32(hsv(hue, 0.85, 0.9))
        image = image + blur(line, 1.5)[..., None] * 0.9
    return image


def _curtain(rng: np.random.Generator) -> F32:
    x, _ = grid(SIDE, SIDE)
    folds = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(5, 9) * x + 2.2 * blobs(rng, SIDE, SIDE, 3))
    tones = [(0.74, 0.72, 0.7), (0.93, 0.92, 0.9), (1, 1, 0.99)]
    return blur(ramp(tones, f32(folds)), 3)


def _bricks(rng: np.random.Generator) -> F32:
    image = flat(SIDE, SIDE, (0.72, 0.68, 0.64))
    red = rng.random() < 0.6
    for row, y in enumerate(range(0, SIDE, 22)):
        for x in range(-44 + 22 * (row % 2), SIDE, 44):
            tone = f32([0.62, 0.3, 0.22] if red else [0.88, 0.86, 0.83]) * rng.uniform(0.8, 1.12)
            image[y : y + 19, max(0, x) : max(0, x + 41)] = tone
    return blur(image * (0.85 + 0.3 * fractal(rng, SIDE, 1.8)[..., None]), 1.8)


def _stars(rng: np.random.Generator) -> F32:
    _, y = grid(SIDE, SIDE)
    image = ramp([(0.02, 0.03, 0.1), (0.08, 0.1, 0.28), (0.28, 0.2, 0.42)], y)
    haze = smoothstep(0.45, 0.9, fractal(rng, SIDE, 2.6)) * (1 - y)
    image = mix(image, flat(SIDE, SIDE, (0.45, 0.4, 0.75)), haze * 0.6)
    stars = (rng.random((SIDE, SIDE)) > 0.996) * rng.uniform(0.4, 1.0, (SIDE, SIDE))
    return image + 2.2 * blur(stars.astype(np.float32), 0.9)[..., None]


def _snowy(rng: np.random.Generator) -> F32:
    image = ramp([(0.62, 0.72, 0.84), (0.85, 0.9, 0.95)], grid(SIDE, SIDE)[1])
    for _ in range(14):
        x, foot, tall = (
            rng.uniform(0, SIDE),
            rng.uniform(0.75, 1.0) * SIDE,
            rng.uniform(0.3, 0.7) * SIDE,
        )
        tree = np.zeros((SIDE, SIDE), np.uint8)
        shape = np.array([[x, foot - tall], [x + tall * 0.24, foot], [x - tall * 0.24, foot]])
        cv2.fillConvexPoly(tree, shape.astype(np.int32), 255, cv2.LINE_AA)
        tone = mix(flat(SIDE, SIDE, (0.2, 0.33, 0.34)), flat(SIDE, SIDE, (0.92, 0.95, 0.98)),
                   smoothstep(0.45, 0.7, fractal(rng, SIDE, 1.8)))  # fmt: skip
        image = mix(image, tone, tree.astype(np.float32) / 255 * rng.uniform(0.5, 0.9))
    image = blur(image, 3.5)
    return _lights(rng, image, 30, (0.6,), 0.018, 0, 1, 0.05)


def _wall(rng: np.random.Generator) -> F32:
    x, y = grid(SIDE, SIDE)
    at, wide = rng.uniform(0.2, 0.8), rng.uniform(0.5, 1.0)
    spot = np.exp(-(((x - at) / wide) ** 2 + ((y - 0.65) / 0.75) ** 2))
    return ramp([(0.62,) * 3, (1.0,) * 3], f32(spot)) * (
        0.985 + 0.03 * fractal(rng, SIDE, 2.0)[..., None]
    )


BACKDROPS: Final[dict[str, Backdrop]] = {
    b.name: b
    for b in (
        Backdrop("wall", ("{colour} studio background", "plain {colour} wall"), _wall, True),
        Backdrop("curtain", ("white curtain background", "sheer white curtain"), _curtain),
        Backdrop("kitchen", ("blurred kitchen background", "bright kitchen"), _kitchen),
        Backdrop("living-room", ("blurred living room background", "cozy living room"),
                 _living_room),
        Backdrop("bricks", ("brick wall background", "blurred brick wall"), _bricks),
        Backdrop("forest", ("blurred forest background", "green forest"), _forest),
        Backdrop("garden", ("blurred garden background", "garden with flowers"), _garden),
        Backdrop("sea", ("sea and blue sky background", "ocean and sky"), _sea),
        Backdrop("sunset", ("sunset sky background", "orange sunset sky"), _sunset),
        Backdrop("mountains", ("mountains background", "mountains and sky"), _mountains),
        Backdrop("winter", ("snowy forest background", "winter forest"), _snowy),
        Backdrop("city", ("blurred city night background", "city lights at night"), _city_night),
        Backdrop("warm-bokeh", ("warm bokeh lights background", "golden bokeh lights"),
                 lambda r: _bokeh(r, True)),
        Backdrop("cool-bokeh", ("blue bokeh lights background", "purple bokeh lights"),
                 lambda r: _bokeh(r, False)),
        Backdrop("neon", ("neon lights background", "glowing neon tubes"), _neon),
        Backdrop("stars", ("starry night sky background", "night sky with stars"), _stars),
    )
}  # fmt: skip

VARIANTS: Final = 6


@cache
def picture(name: str, variant: int) -> U8:
    """The picture (256, 256, 3); the same for the same name and variant, always."""
    seed = [977, sorted(BACKDROPS).index(name), variant]
    image = BACKDROPS[name].paint(np.random.default_rng(seed))
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)
