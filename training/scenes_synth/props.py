"""Small things beside products, as sprites (128, 128, 4) premultiplied, made once per process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from training.scenes_synth.fields import F32, blobs, chance, f32, fractal
from training.scenes_synth.outlines import Drawing, jittered, smooth
from training.scenes_synth.palette import hsv
from training.scenes_synth.relief import SIZE, Light, Relief, shade
from training.scenes_synth.scale import PX
from training.scenes_synth.solids import Carton, Turning, box, revolve

SPRITE: Final = 128 * PX
SUN: Final = Light((-0.4, -0.7, 0.6), (0.62, 0.62, 0.6), (0.46, 0.46, 0.48), (0.08, 0.08, 0.08))


@dataclass(frozen=True, slots=True)
class Prop:
    """A kind of prop: its words, its painter, its size and number, whether it lies or stands."""

    name: str
    phrases: tuple[str, ...]
    paint: Callable[[np.random.Generator], Relief]
    size: tuple[float, float]  # of the canvas's smaller side
    count: tuple[int, int]
    lies: bool = True  # seen foreshortened on the ground; otherwise upright
    hangs: bool = False  # may reach in from the edges of the picture


def _leaf_points(length: float, width: float, lean: float, x: float, y: float) -> F32:
    t = np.linspace(0, 1, 14)
    half = width * np.sin(np.pi * t**0.8) ** 0.9
    along = t * length
    left, right = np.stack([along, -half], -1), np.stack([along, half], -1)[::-1]
    points = np.concatenate([left, right])
    c, s = np.cos(lean), np.sin(lean)
    return f32(points @ np.array([[c, s], [-s, c]]) + (x, y))


def _leaves(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    hue, kind = rng.uniform(0.24, 0.4), rng.integers(3)
    stem_lean = -np.pi / 2 + rng.uniform(-0.5, 0.5)
    root = np.array([0.5 - 0.4 * np.cos(stem_lean), 0.92])
    tip = root + 0.8 * np.array([np.cos(stem_lean), np.sin(stem_lean)])
    pairs = int(rng.integers(4, 8)) if kind else 1
    drawing.line([tuple(root), tuple(tip)], hsv(hue, 0.5, 0.3), 2)
    for k in range(pairs):
        at = root + (tip - root) * (k + 0.7) / pairs
        size = 0.34 * (1 - 0.5 * k / pairs) if kind else 0.75
        for side in (-1, 1) if kind else (0,):
            lean = stem_lean + side * rng.uniform(0.6, 1.1)
            tone = hsv(hue + rng.normal(0, 0.015), rng.uniform(0.45, 0.8), rng.uniform(0.35, 0.68))
            start = at if kind else root
            leaf = _leaf_points(size, size * rng.uniform(0.16, 0.3), lean, *start)
            cover = drawing.body(leaf, tone, 0.05)
            drawing.line([tuple(start), tuple(leaf[13])], hsv(hue, 0.35, 0.75), 1, cover, 0.5)
    return drawing.relief(0.35)


def _palm(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    hue = rng.uniform(0.28, 0.38)
    for k in range(15):
        lean = -np.pi / 2 + (k - 7) * 0.2 + rng.normal(0, 0.04)
        tone = hsv(hue, rng.uniform(0.5, 0.8), rng.uniform(0.3, 0.6))
        drawing.body(_leaf_points(0.75 - 0.03 * abs(k - 7), 0.035, lean, 0.5, 0.9), tone, 0.03)
    return drawing.relief(0.25)


def _flower(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    hue = float(rng.choice([0.0, 0.93, 0.88, 0.14, 0.77, 0.98]))
    saturation, n = rng.uniform(0.15, 0.8), int(rng.integers(5, 9))
    for ring, size in ((0, 0.4), (1, 0.28)):
        for k in range(n):
            lean = 2 * np.pi * (k + ring / 2) / n + rng.normal(0, 0.05)
            tone = hsv(hue, saturation * rng.uniform(0.7, 1.0), rng.uniform(0.85, 1))
            drawing.body(_leaf_points(size, size * 0.34, lean, 0.5, 0.5), tone, 0.07)
    heart = [(0.5 + 0.08 * np.cos(a), 0.5 + 0.08 * np.sin(a)) for a in np.linspace(0, 6, 12)]
    drawing.body(smooth(heart), (0.95, 0.75, 0.2), 0.06)
    return drawing.relief(0.0)


def _petal(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    tone = hsv(rng.uniform(0.92, 1.0), rng.uniform(0.2, 0.7), 0.97)
    drawing.body(_leaf_points(0.8, 0.24, rng.uniform(-0.5, 0.5), 0.1, 0.5), tone, 0.2)
    return drawing.relief(0.1)


def _pebble(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    a = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    r = rng.uniform(0.36, 0.46, 9)
    points = jittered(rng, np.stack([0.5 + r * np.cos(a), 0.5 + 0.7 * r * np.sin(a)], -1).tolist())
    tone = hsv(rng.uniform(0.05, 0.6), rng.uniform(0, 0.15), rng.uniform(0.3, 0.9))
    paint = f32(tone) * (0.85 + 0.3 * fractal(rng, 256 * PX, 1.6)[:SIZE, :SIZE, None])
    drawing.body(smooth(points), np.clip(paint, 0, 1), 0.35)
    return drawing.relief(0.15)


def _citrus(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    hue = float(rng.choice([0.08, 0.145, 0.24, 0.02]))
    rind, flesh = hsv(hue, 0.9, 0.92), hsv(hue + 0.005, 0.72, 1.0)
    disc = lambda r: [(0.5 + r * np.cos(a), 0.5 + r * np.sin(a)) for a in np.linspace(0, 6.1, 26)]  # noqa: E731
    cover = drawing.body(smooth(disc(0.44)), rind, 0.06)
    drawing.panel(smooth(disc(0.4)), (0.99, 0.96, 0.85), cover, 0)
    for k in range(9):
        a0, a1 = 2 * np.pi * (k + 0.06) / 9, 2 * np.pi * (k + 0.94) / 9
        mid = (a0 + a1) / 2
        wedge = [(0.5 + 0.04 * np.cos(mid), 0.5 + 0.04 * np.sin(mid)),
                 (0.5 + 0.37 * np.cos(a0), 0.5 + 0.37 * np.sin(a0)),
                 (0.5 + 0.38 * np.cos(mid), 0.5 + 0.38 * np.sin(mid)),
                 (0.5 + 0.37 * np.cos(a1), 0.5 + 0.37 * np.sin(a1))]  # fmt: skip
        drawing.panel(wedge, flesh, cover, 0.7)
    return drawing.relief(0.5)


def _fruit(rng: np.random.Generator) -> Relief:
    v = np.linspace(0, 1, 96)
    radii = np.sqrt(np.clip(0.25 - (v - 0.5) ** 2, 1e-5, None)).astype(np.float32) * rng.uniform(
        0.9, 1.1
    )
    hue = float(rng.choice([0.08, 0.15, 0.25, 0.0]))
    skin = f32(hsv(hue, 0.85, 0.92)) * (0.9 + 0.2 * fractal(rng, 128, 1.4)[..., None])
    return revolve(Turning(radii, np.clip(skin, 0, 1), 0, (0, 0, 0), None, 0.45, 0), 0.0)


def _sphere(rng: np.random.Generator) -> Relief:
    v = np.linspace(0, 1, 96)
    radii = np.sqrt(np.clip(0.25 - (v - 0.5) ** 2, 1e-5, None)).astype(np.float32)
    tone = hsv(rng.random(), rng.uniform(0.1, 0.5), rng.uniform(0.8, 1.0))
    skin = np.broadcast_to(f32(tone), (8, 16, 3)).copy()
    return revolve(Turning(radii, skin, 0, (0, 0, 0), None, float(rng.choice([0, 0.8])), 0), 0.0)


def _gift(rng: np.random.Generator) -> Relief:
    paper, ribbon = hsv(float(rng.choice([0, 0.35, 0.12, 0.6])), 0.7, 0.75), hsv(0.12, 0.4, 0.95)
    face = np.broadcast_to(f32(paper), (64, 64, 3)).copy()
    face[:, 27:37] = ribbon
    yaw = float(rng.uniform(0.3, 0.9)) * (1 if chance(rng, 0.5) else -1)
    return box(Carton((1, float(rng.uniform(0.6, 1)), 1), face, face, face, yaw, 0.35, 0.2), 0.0)


def _candle(rng: np.random.Generator) -> Relief:
    wide = float(rng.uniform(0.15, 0.22))
    radii = np.interp(np.linspace(0, 1, 96), [0, 0.3, 0.31, 1], [0.004, 0.004, wide, wide])
    texture = np.full((96, 16, 3), (0.96, 0.92, 0.84), np.float32)
    texture[:29] = (0.15, 0.1, 0.08)
    lit = revolve(Turning(radii.astype(np.float32), texture, 0.12, (1, 0.9, 0.6), None, 0.1, 0), 0)
    albedo, alpha = lit.albedo.copy(), lit.alpha.copy()
    flame = np.zeros((SIZE, SIZE), np.uint8)
    cv2.ellipse(flame, (SIZE // 2, 36 * PX), (9 * PX, 22 * PX), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cover = cv2.GaussianBlur(flame.astype(np.float32) / 255, (0, 0), 2.5 * PX)
    albedo += cover[..., None] * (f32([1.7, 1.35, 0.7]) - albedo)
    return Relief(albedo, lit.normal, np.maximum(alpha, cover), 0.0, 0.0)


def _drops(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    for _ in range(9):
        cx, cy = rng.uniform(0.12, 0.88, 2)
        r = rng.uniform(0.03, 0.11)
        ring = [(cx + r * np.cos(a), cy + 0.8 * r * np.sin(a)) for a in np.linspace(0, 5.7, 10)]
        drawing.body(smooth(ring), (0.8, 0.9, 0.96), r)
    return Relief(drawing.albedo, drawing.relief(1.0).normal, drawing.alpha * 0.6, 1.0, 0.0)


def _shell(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    hue = rng.uniform(0.02, 0.1)
    for k in range(9):
        lean = -np.pi / 2 + (k - 4) * 0.26
        tone = hsv(hue, 0.15 + 0.2 * (k % 2), 0.97)
        drawing.body(_leaf_points(0.62, 0.09, lean, 0.5, 0.82), tone, 0.06)
    return drawing.relief(0.2)


def _beans(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    for _ in range(10):
        cx, cy = rng.uniform(0.14, 0.86, 2)
        bean = _leaf_points(0.2, 0.07, rng.uniform(0, 6.3), cx, cy)
        cover = drawing.body(bean, hsv(0.06, 0.65, rng.uniform(0.22, 0.38)), 0.05)
        drawing.line([tuple(bean[0]), tuple(bean[13])], (0.1, 0.05, 0.03), 1.5, cover)
    return drawing.relief(0.4)


def _ice(rng: np.random.Generator) -> Relief:
    face = 0.75 + 0.25 * blobs(rng, 48, 48, 5)[..., None] * np.ones(3, np.float32)
    face = f32(face * f32([0.86, 0.95, 1.0]))
    cube = box(Carton((1, 0.85, 1), face, face * 0.85, face, rng.uniform(-0.8, 0.8), 0.4, 1.0), 0)
    return Relief(cube.albedo, cube.normal, cube.alpha * 0.75, 1.0, 0.0)


def _cone(rng: np.random.Generator) -> Relief:
    drawing = Drawing()
    for row in range(7):
        y, wide = 0.82 - 0.1 * row, 0.3 * np.sin(np.pi * (row + 1.6) / 9)
        for x in np.linspace(-wide, wide, 5):
            tone = hsv(0.07, 0.5, rng.uniform(0.28, 0.5))
            drawing.body(_leaf_points(0.17, 0.07, -np.pi / 2 + x, 0.5 + x, y + 0.08), tone, 0.05)
    return drawing.relief(0.0)


PROPS: Final[dict[str, Prop]] = {
    p.name: p
    for p in (
        Prop("leaves", ("green leaves", "fresh leaves"), _leaves, (0.28, 0.5), (2, 4), False, True),
        Prop("palm", ("palm leaves",), _palm, (0.5, 0.8), (1, 3), False, True),
        Prop("flowers", ("flowers", "colourful flowers"), _flower, (0.16, 0.3), (2, 5)),
        Prop("petals", ("rose petals", "scattered petals"), _petal, (0.09, 0.16), (5, 9)),
        Prop("pebbles", ("pebbles", "smooth pebbles"), _pebble, (0.1, 0.26), (3, 6)),
        Prop("citrus", ("citrus slices", "fresh citrus slices"), _citrus, (0.2, 0.32), (2, 4)),
        Prop("fruit", ("fresh fruit", "oranges and lemons"), _fruit, (0.18, 0.28), (2, 4), False),
        Prop("balls", ("glossy balls", "pastel balls"), _sphere, (0.1, 0.28), (2, 5), False),
        Prop("gifts", ("gift boxes", "gifts with ribbon"), _gift, (0.2, 0.34), (1, 3), False),
        Prop("candles", ("candles", "burning candles"), _candle, (0.24, 0.4), (1, 3), False),
        Prop("drops", ("water drops",), _drops, (0.2, 0.34), (3, 5)),
        Prop("shells", ("sea shells", "shells"), _shell, (0.13, 0.24), (2, 4)),
        Prop("beans", ("coffee beans",), _beans, (0.2, 0.34), (2, 4)),
        Prop("ice", ("ice cubes",), _ice, (0.14, 0.24), (2, 5), False),
        Prop("cones", ("pine cones",), _cone, (0.16, 0.26), (1, 3), False),
    )
}

VARIANTS: Final = 6


@cache
def sprite(name: str, variant: int) -> F32:
    """The prop's picture (128, 128, 4), premultiplied, float32; always the same."""
    rng = np.random.default_rng([3163, sorted(PROPS).index(name), variant])
    image = shade(PROPS[name].paint(rng), SUN)
    return cv2.resize(image, (SPRITE, SPRITE), interpolation=cv2.INTER_AREA)
