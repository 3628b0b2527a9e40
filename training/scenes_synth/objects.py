"""Things drawn as silhouettes that are not worn: headphones, tools, watches, free shapes."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from training.scenes_synth.fields import F32, between, blobs, chance, f32, fractal, pick, ramp
from training.scenes_synth.outlines import Drawing, jittered, smooth, weave
from training.scenes_synth.palette import Colour
from training.scenes_synth.patterns import PRINT_WORDS, finished, printed, put_word
from training.scenes_synth.relief import SIZE, Relief
from training.scenes_synth.scale import PX

Drawn: TypeAlias = tuple[Relief, F32]
Palette: TypeAlias = Sequence[Colour]


def _ring(cx: float, cy: float, rx: float, ry: float, n: int = 28) -> F32:
    a = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return f32(np.stack([cx + rx * np.cos(a), cy + ry * np.sin(a)], -1))


def headphones(rng: np.random.Generator, colours: Palette) -> Drawn:
    """Over-ear headphones standing: a bow and two cups."""
    drawing, wide = Drawing(), between(rng, 0.3, 0.38)
    bow = [(0.5 - wide, 0.62), (0.5 - wide * 0.95, 0.3), (0.5, 0.08), (0.5 + wide * 0.95, 0.3),
           (0.5 + wide, 0.62)]  # fmt: skip
    drawing.line(smooth(bow, False), colours[0], between(rng, 8, 14), None, -4)
    drawing.line(smooth(bow, False), colours[1], 2, drawing.alpha, 1)
    tall = between(rng, 0.15, 0.2)
    for sign in (-1, 1):
        cx = 0.5 + sign * wide
        drawing.body(_ring(cx - sign * 0.05, 0.7, 0.07, tall), (0.13, 0.13, 0.14), 0.05)
        cup = drawing.body(_ring(cx + sign * 0.02, 0.7, 0.085, tall * 0.95), colours[0], 0.08)
        drawing.panel(_ring(cx + sign * 0.03, 0.7, 0.04, tall * 0.5), colours[2], cup, 2)
    return drawing.relief(between(rng, 0.2, 0.8)), drawing.height


def watch(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A wristwatch from the front."""
    drawing, radius = Drawing(), between(rng, 0.2, 0.27)
    narrow = between(rng, 0.6, 0.8)
    for sign in (-1, 1):
        y0, y1 = 0.5 + sign * radius * 0.8, 0.5 + sign * 0.46
        half = radius * narrow
        strap = [
            (0.5 - half, y0),
            (0.5 + half, y0),
            (0.5 + half * 0.75, y1),
            (0.5 - half * 0.75, y1),
        ]
        cover = drawing.body(strap, colours[0], 0.04)
        drawing.line([(0.5 - half * 0.7, y0), (0.5 - half * 0.55, y1)], colours[1], 1, cover)
        drawing.line([(0.5 + half * 0.7, y0), (0.5 + half * 0.55, y1)], colours[1], 1, cover)
    steel = pick(rng, [(0.8, 0.8, 0.83), (0.85, 0.68, 0.35), (0.15, 0.15, 0.17), (0.85, 0.6, 0.5)])
    case = drawing.body(_ring(0.5, 0.5, radius, radius), steel, 0.05)
    drawing.panel(
        [(0.5 + radius - 0.01, 0.47), (0.8, 0.47), (0.8, 0.53), (0.5, 0.53)], steel, case, 0
    )
    face = drawing.panel(_ring(0.5, 0.5, radius * 0.84, radius * 0.84), colours[1], case, -2)
    for a in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        c, s = np.cos(a), np.sin(a)
        r0, r1 = radius * 0.66, radius * 0.78
        drawing.line(
            [(0.5 + r0 * c, 0.5 + r0 * s), (0.5 + r1 * c, 0.5 + r1 * s)], colours[3], 2, face
        )
    for a, length in ((between(rng, 0, 6.3), 0.4), (between(rng, 0, 6.3), 0.62)):
        tip = (0.5 + radius * length * np.cos(a), 0.5 + radius * length * np.sin(a))
        drawing.line([(0.5, 0.5), tip], colours[3], 3, face, -1)
    return drawing.relief(0.6), drawing.height


def tool(rng: np.random.Generator, colours: Palette) -> Drawn:
    """Something long and thin with an eye: scissors, brush, spanner, fork, key."""
    drawing, lean = Drawing(), between(rng, -0.5, 0.5)
    metal: Colour = pick(rng, [(0.75, 0.76, 0.8), (0.85, 0.7, 0.4), (0.3, 0.3, 0.33)])
    half, head = between(rng, 0.02, 0.05), between(rng, 0.06, 0.15)
    stem = [(-half, -0.1), (half, -0.1), (half * 1.5, 0.44), (-half * 1.5, 0.44)]
    blade = jittered(rng, [(-head, -0.44), (0, -0.46), (head, -0.44), (head * 0.9, -0.25),
                           (half, -0.08), (-half, -0.08), (-head * 0.9, -0.25)], 0.01)  # fmt: skip
    c, s = np.cos(lean), np.sin(lean)
    place = lambda p: [(0.5 + c * x - s * y, 0.5 + s * x + c * y) for x, y in p]  # noqa: E731
    drawing.body(smooth(place(blade), steps=5), metal, 0.05)
    cover = drawing.body(place(stem), colours[0], 0.04)
    drawing.panel(place([(-0.1, 0.1), (0.1, 0.1), (0.1, 0.16), (-0.1, 0.16)]), colours[2], cover, 1)
    if chance(rng, 0.6):
        drawing.hole(place(_ring(0, -0.33, head * 0.5, head * 0.55, 16).tolist()))
    if chance(rng, 0.5):
        drawing.line(place(_ring(0, 0.38, 0.08, 0.08, 20).tolist()), colours[0], 6, None, -2)
    return drawing.relief(0.7, 0.3), drawing.height


def free_shape(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A smooth random body with panels, seams, print and perhaps holes."""
    drawing, n = Drawing(), int(rng.integers(5, 11))
    a = np.linspace(0, 2 * np.pi, n, endpoint=False) + rng.uniform(-0.25, 0.25, n)
    r = rng.uniform(0.28, 0.47, n)
    sx, sy = between(rng, 0.55, 1), between(rng, 0.6, 1)
    points = np.stack([0.5 + sx * r * np.cos(a), 0.5 + sy * r * np.sin(a)], -1)
    outline = smooth(points.tolist()) if chance(rng, 0.75) else f32(points)
    paint = printed(rng, SIZE, SIZE, colours, 0.6) * weave(rng, 0.03)
    cover = drawing.body(outline, np.clip(paint, 0, 1), between(rng, 0.06, 0.35))
    for _ in range(int(rng.integers(0, 5))):
        at = rng.uniform(0.2, 0.8, 2)
        patch = at + rng.normal(0, 0.16, (int(rng.integers(3, 6)), 2))
        drawing.panel(smooth(patch.tolist()), pick(rng, colours[1:]), cover, between(rng, -2, 3))
    for _ in range(int(rng.integers(0, 4))):
        seam = rng.uniform(0.1, 0.9, (3, 2)).tolist()
        drawing.line(smooth(seam, False), pick(rng, colours), between(rng, 1, 4), cover)
    if chance(rng, 0.3):
        at = rng.uniform(0.35, 0.65, 2)
        drawing.hole(_ring(at[0], at[1], between(rng, 0.05, 0.13), between(rng, 0.05, 0.13)))
    if chance(rng, 0.4):
        drawing.crumple(rng, between(rng, 3, 12), (1, 1))
    return drawing.relief(between(rng, 0, 0.9), pick(rng, [0, 0, 0, 0.6])), drawing.height


def cluster(rng: np.random.Generator, colours: Palette) -> Drawn:
    """Several lumps stuck together: toys, plants, machines."""
    drawing = Drawing()
    count = int(rng.integers(3, 8))
    for k in range(count):
        cx, cy = between(rng, 0.28, 0.72), 0.2 + 0.6 * k / count
        rx, ry = between(rng, 0.08, 0.24), between(rng, 0.08, 0.2)
        colour = pick(rng, colours)
        if chance(rng, 0.5):
            drawing.body(_ring(cx, cy, rx, ry), colour, min(rx, ry))
        else:
            corners = [
                (cx - rx, cy - ry),
                (cx + rx, cy - ry),
                (cx + rx, cy + ry),
                (cx - rx, cy + ry),
            ]
            drawing.body(f32(jittered(rng, corners, 0.03)), colour, 0.05)
    spine = [(0.45, 0.2), (0.55, 0.2), (0.6, 0.85), (0.4, 0.85)]
    drawing.body(smooth(spine), colours[0], 0.1)
    return drawing.relief(between(rng, 0, 0.8)), drawing.height


def pouch(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A foil or paper pouch, sealed at the top: coffee, snacks, sachets."""
    drawing, wide = Drawing(), between(rng, 0.26, 0.36)
    half = jittered(rng, [(0.5 - wide, 0.06), (0.5 - wide * 1.02, 0.14), (0.5 - wide * 0.97, 0.5),
                          (0.5 - wide * 1.05, 0.9), (0.5 - wide * 0.85, 0.95)], 0.006)  # fmt: skip
    points = [*half, *[(1 - x, y) for x, y in reversed(half)]]
    cover = drawing.body(f32(points), printed(rng, SIZE, SIZE, colours, 1.0), 0.22)
    r, g, b = colours[0]
    seal = (0.85 * r, 0.85 * g, 0.85 * b)
    for y in (0.09, 0.115, 0.14):
        drawing.line([(0, y), (1, y)], seal, 1, cover, 1.2)
    if chance(rng, 0.5):
        drawing.albedo *= 0.94 + 0.12 * blobs(rng, SIZE, SIZE, 5)[..., None]
    drawing.crumple(rng, between(rng, 4, 12), (1, 1.6))
    return drawing.relief(between(rng, 0.1, 0.8)), drawing.height


def plush(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A soft toy animal: ears, belly, eyes, fur."""
    drawing = Drawing()
    fur = f32(colours[0]) * (0.8 + 0.35 * _fur(rng)[..., None])
    fur = np.clip(fur, 0, 1)
    spread = between(rng, 0.14, 0.22)
    for sign in (-1, 1):
        drawing.body(_ring(0.5 + sign * spread, 0.15, 0.08, between(rng, 0.08, 0.14)), fur, 0.08)
        drawing.body(_ring(0.5 + sign * 0.25, 0.62, 0.1, 0.16), fur, 0.1)
        drawing.body(_ring(0.5 + sign * 0.17, 0.88, 0.12, 0.09), fur, 0.1)
    belly = drawing.body(_ring(0.5, 0.68, 0.26, 0.25), fur, 0.24)
    drawing.panel(_ring(0.5, 0.7, 0.15, 0.17), colours[1], belly, 1)
    head = drawing.body(_ring(0.5, 0.3, 0.25, 0.21), fur, 0.22)
    drawing.panel(_ring(0.5, 0.38, 0.1, 0.075), colours[1], head, 3)
    for x in (0.41, 0.59):
        drawing.panel(_ring(x, 0.28, 0.025, 0.025), (0.05, 0.04, 0.04), head, 2)
    drawing.panel(_ring(0.5, 0.35, 0.03, 0.02), (0.1, 0.06, 0.06), head, 2)
    return drawing.relief(0.0), drawing.height


def _fur(rng: np.random.Generator) -> F32:
    return fractal(rng, 256 * PX, 1.2)[:SIZE, :SIZE]


def gadget(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A flat device with a screen or grille: phone, speaker, console, camera."""
    drawing = Drawing()
    wide, tall = between(rng, 0.2, 0.46), between(rng, 0.24, 0.46)
    n = pick(rng, [4.0, 6.0, 12.0])
    a = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    c, s = np.cos(a), np.sin(a)
    ex, ey = np.sign(c) * np.abs(c) ** (2 / n), np.sign(s) * np.abs(s) ** (2 / n)
    cover = drawing.body(np.stack([0.5 + wide * ex, 0.5 + tall * ey], -1), colours[0], 0.05)
    inner = np.stack([0.5 + wide * 0.87 * ex, 0.5 + tall * 0.9 * ey], -1)
    if chance(rng, 0.55):
        picture = printed(rng, SIZE, SIZE, colours[::-1], 0.8)
        if chance(rng, 0.5):
            picture = ramp(colours, blobs(rng, SIZE, SIZE, 4))
        drawing.panel(inner, picture, cover, -1)
    else:
        cy = between(rng, 0.42, 0.62)
        radius = min(wide, tall) * between(rng, 0.5, 0.8)
        ring = drawing.panel(_ring(0.5, cy, radius, radius), (0.08, 0.08, 0.09), cover, -2)
        drawing.panel(_ring(0.5, cy, radius * 0.6, radius * 0.6), colours[2], ring, 3)
        drawing.panel(_ring(0.46, cy - 0.04, radius * 0.2, radius * 0.2), colours[3], ring, 1)
    word = np.zeros((SIZE, SIZE, 3), np.uint8)
    put_word(
        word, pick(rng, PRINT_WORDS), (SIZE / 2, SIZE * (0.5 - tall * 0.8)), 40 * PX, (1, 1, 1), 1
    )
    drawing.albedo += (finished(word[..., :1]) * cover[..., None]) * (
        f32(colours[3]) - drawing.albedo
    )
    return drawing.relief(between(rng, 0.2, 1.0)), drawing.height
