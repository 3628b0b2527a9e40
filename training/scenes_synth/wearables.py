"""Shoes, garments, hats, bags and glasses, drawn from the side or front."""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np

from training.scenes_synth.fields import F32, between, chance, f32, pick
from training.scenes_synth.outlines import INSET, Drawing, jittered, mirrored, smooth, weave
from training.scenes_synth.palette import Colour, jitter, neutral, vivid
from training.scenes_synth.patterns import PRINT_WORDS, finished, printed, put_logo, put_word
from training.scenes_synth.relief import SIZE, Relief
from training.scenes_synth.scale import PX

Drawn: TypeAlias = tuple[Relief, F32]  # the relief and its height field
Palette: TypeAlias = Sequence[Colour]

WHITE: Colour = (0.95, 0.95, 0.95)


def _cloth(
    rng: np.random.Generator, colours: Palette, busy: float = 0.0, plain: float = 0.5
) -> F32:
    if chance(rng, plain):
        base = np.broadcast_to(f32(colours[0]), (SIZE, SIZE, 3))
    else:
        base = printed(rng, SIZE, SIZE, colours, busy)
    return np.clip(base * weave(rng), 0, 1).astype(np.float32)


def sneaker(rng: np.random.Generator, colours: Palette) -> Drawn:
    """One shoe from the side, or a pair one behind the other; toes left or right."""
    drawing = Drawing()
    high = between(rng, 0.0, 0.14) if chance(rng, 0.4) else between(rng, -0.04, 0.02)
    sole = pick(rng, [WHITE, WHITE, colours[1], (0.15, 0.15, 0.16), (0.75, 0.6, 0.42)])
    shape = jittered(rng, [
        (0.05, 0.60), (0.12, 0.51), (0.27, 0.47), (0.42, 0.39), (0.54, 0.30 - high / 2),
        (0.62, 0.25 - high), (0.74, 0.28 - high), (0.86, 0.26 - high), (0.92, 0.31 - high / 2),
        (0.92, 0.48), (0.95, 0.64), (0.50, 0.70), (0.10, 0.69),
    ], 0.008)  # fmt: skip
    thick = between(rng, 0.05, 0.11)
    pair, cloth = chance(rng, 0.3), _cloth(rng, colours, 0.2)
    parts = [(0.07, -0.10), (-0.03, 0.03)] if pair else [(0.0, 0.0)]
    details = int(rng.integers(1 << 31))
    for dx, dy in parts:
        moved = [(0.5 + (x - 0.5) * (0.76 if pair else 0.88) + dx, y + dy) for x, y in shape]
        _shoe(np.random.default_rng(details), drawing, moved, cloth, colours, sole, thick)
    if chance(rng, 0.5):
        drawing.albedo, drawing.alpha, drawing.height = (
            np.ascontiguousarray(a[:, ::-1])
            for a in (drawing.albedo, drawing.alpha, drawing.height)
        )
    return drawing.relief(between(rng, 0, 0.3), strength=1.1), drawing.height


def _shoe(
    rng: np.random.Generator, drawing: Drawing, shape: Sequence[tuple[float, float]], cloth: F32,
    colours: Palette, sole: Colour, thick: float,
) -> None:  # fmt: skip
    toe_x, heel_x = shape[0][0], shape[10][0]
    span, base = heel_x - toe_x, shape[11][1]
    upper = drawing.body(smooth(shape), cloth, 0.14)
    at = lambda u, v: (toe_x + u * span, base + (v - 0.7) * 1.0)  # noqa: E731
    if chance(rng, 0.6):
        toe = smooth([at(-0.1, 0.5), at(0.14, 0.45), at(0.25, 0.6), at(0.2, 0.8), at(-0.1, 0.8)])
        drawing.panel(toe, colours[1], upper)
    if chance(rng, 0.6):
        heel = smooth([at(0.85, 0.3), at(1.1, 0.2), at(1.1, 0.8), at(0.8, 0.8), at(0.84, 0.5)])
        drawing.panel(heel, pick(rng, colours[1:3]), upper)
    for k in range(int(rng.integers(0, 4))):
        u = 0.5 + 0.09 * k + between(rng, -0.02, 0.02)
        bar = [at(u, 0.36), at(u + 0.05, 0.36), at(u - 0.04, 0.75), at(u - 0.12, 0.75)]
        drawing.panel(bar, colours[2], upper, 0.8)
    if chance(rng, 0.4):
        swoosh = smooth([at(0.35, 0.6), at(0.55, 0.58), at(0.95, 0.4), at(0.6, 0.66)])
        drawing.panel(swoosh, colours[3], upper, 0.8)
    mouth = smooth([at(0.60, 0.27), at(0.72, 0.3), at(0.90, 0.27), at(0.76, 0.235)])
    drawing.panel(mouth, (0.12, 0.1, 0.1), upper, -2.0)
    lace = pick(rng, [WHITE, colours[3], colours[1]])
    if chance(rng, 0.75):
        for u in np.linspace(0.3, 0.56, int(rng.integers(3, 6))):
            y = 0.62 - u * 0.55
            drawing.line([at(u, y - 0.02), at(u + 0.09, y + 0.05)], lace, 3, upper, -1.0)
    drawing.line(
        smooth([at(0.28, 0.5), at(0.4, 0.55), at(0.62, 0.42)], False), colours[1], 1.5, upper
    )
    edge = [(toe_x - 0.012, base - thick), (heel_x + 0.008, base - thick * 1.1),
            (heel_x + 0.01, base + 0.015), (toe_x + 0.3 * span, base + 0.02),
            (toe_x + 0.02, base + 0.005)]  # fmt: skip
    welt = drawing.body(smooth(edge, steps=4), sole, 0.03)
    if chance(rng, 0.5):
        y = base - thick * 0.5
        drawing.panel([(0, y), (1, y), (1, y + 0.018), (0, y + 0.018)], colours[2], welt, 0.3)


def slip_ons(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A pair of flat shoes from above."""
    drawing, cloth = Drawing(), _cloth(rng, colours, 0.1, 0.4)
    inside, wide = pick(rng, colours[1:3]), between(rng, 0.15, 0.19)
    for sign in (-1, 1):
        cx = 0.5 + sign * (wide + 0.03)
        shape = [(cx - sign * wide * 0.75, 0.12), (cx + sign * wide * 0.1, 0.04),
                 (cx + sign * wide * 0.9, 0.2), (cx + sign * wide, 0.4),
                 (cx + sign * wide * 0.8, 0.7), (cx + sign * wide * 0.5, 0.94),
                 (cx - sign * wide * 0.5, 0.94), (cx - sign * wide * 0.8, 0.6),
                 (cx - sign * wide, 0.3)]  # fmt: skip
        drawing.body(smooth(shape), WHITE, 0.05)
        inner = [(cx + (x - cx) * 0.88, 0.5 + (y - 0.5) * 0.95) for x, y in shape]
        upper = drawing.panel(smooth(inner), cloth, drawing.alpha, 2.0)
        top = between(rng, 0.4, 0.46)
        mouth = [(cx, top), (cx + wide * 0.6, top + 0.1), (cx + wide * 0.5, 0.86), (cx, 0.9),
                 (cx - wide * 0.5, 0.86), (cx - wide * 0.6, top + 0.1)]  # fmt: skip
        drawing.panel(smooth(mouth), jitter(rng, inside, 0.02), upper, -4.0)
    return drawing.relief(0.05), drawing.height


def tee(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A T-shirt or polo shirt from the front."""
    return _garment(rng, colours, sleeve=between(rng, 0.3, 0.42), hood=False)


def hoodie(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A hooded sweatshirt from the front."""
    return _garment(rng, colours, sleeve=between(rng, 0.56, 0.67), hood=True)


def _garment(rng: np.random.Generator, colours: Palette, sleeve: float, hood: bool) -> Drawn:
    drawing, cloth = Drawing(), _cloth(rng, colours, 0.0, 0.75)
    top = 0.26 if hood else 0.08
    out, hem = between(rng, 0.03, 0.1), between(rng, 0.90, 0.96)
    cuff = 0.05 if hood else 0.12
    arms = jittered(rng, [(0.39, top), (0.22, top + 0.06), (out + 0.03, top + sleeve * 0.6),
                          (out, top + sleeve), (out + cuff, top + sleeve + 0.03),
                          (0.26, top + 0.24)], 0.008)  # fmt: skip
    drawing.body(f32(mirrored(arms)), cloth * 0.95, 0.07)
    trunk = jittered(rng, [(0.37, top), (0.25, top + 0.05), (0.235, top + 0.3), (0.24, 0.7),
                           (0.235, hem)], 0.006)  # fmt: skip
    front = drawing.body(f32(mirrored(trunk)), cloth, 0.12)
    dark = jitter(rng, tuple(c * 0.55 for c in colours[0]), 0.02)
    if hood:
        _hood(drawing, cloth, dark, top, colours, front)
    else:
        neck = smooth([(0.39, top - 0.03), (0.61, top - 0.03), (0.56, top + 0.05),
                       (0.5, top + 0.07), (0.44, top + 0.05)], steps=4)  # fmt: skip
        drawing.panel(neck, dark, front, -2)
        drawing.line(smooth([(0.39, top), (0.5, top + 0.085), (0.61, top)], False),
                     pick(rng, [colours[0], colours[1]]), 4, front, -0.8)  # fmt: skip
    _chest_print(rng, drawing, front, colours)
    drawing.crumple(rng, between(rng, 8, 20), pick(rng, [(1.0, 2.2), (1.0, 1.0), (0.7, 1.6)]))
    return drawing.relief(0.0, strength=1.0), drawing.height


def _hood(
    drawing: Drawing, cloth: F32, dark: Colour, top: float, colours: Palette, front: F32
) -> None:
    hood = smooth([(0.36, top + 0.06), (0.36, 0.12), (0.5, 0.03), (0.64, 0.12), (0.64, top + 0.06),
                   (0.5, top + 0.12)])  # fmt: skip
    cover = drawing.body(hood, cloth, 0.06)
    drawing.panel(
        smooth([(0.42, 0.16), (0.5, 0.09), (0.58, 0.16), (0.5, top + 0.06)]), dark, cover, -3
    )
    pocket = [(0.36, 0.66), (0.64, 0.66), (0.7, 0.84), (0.3, 0.84)]
    drawing.panel(pocket, cloth, front, 1.5)
    for x in (0.45, 0.55):
        drawing.line([(x, top + 0.06), (x - 0.01, top + 0.22)], colours[1], 2, front, -1)


def _chest_print(rng: np.random.Generator, drawing: Drawing, within: F32, colours: Palette) -> None:
    if chance(rng, 0.2):
        return
    ink = np.zeros((SIZE, SIZE, 3), np.uint8)
    small = chance(rng, 0.3)
    centre = (SIZE * (0.6 if small else 0.5), SIZE * between(rng, 0.36, 0.52))
    size = SIZE * (between(rng, 0.04, 0.07) if small else between(rng, 0.08, 0.14))
    if chance(rng, 0.6):
        put_logo(rng, ink, centre, size, (1, 1, 1))
    if chance(rng, 0.6):
        below = (centre[0], centre[1] + size * 1.3)
        put_word(ink, pick(rng, PRINT_WORDS), below, size * 2.6, (1, 1, 1), int(rng.integers(24)))
    cover = finished(ink[..., 0]) * within
    drawing.albedo += cover[..., None] * (f32(colours[3]) - drawing.albedo)


def beanie(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A knitted hat with a turned-up band, sometimes tilted."""
    drawing, tall = Drawing(), between(rng, 0.1, 0.24)
    cloth = _cloth(rng, colours, 0.0, 0.7)
    ribs = 1 + 0.12 * np.sin(np.linspace(0, between(rng, 120, 220), SIZE))[None, :, None]
    dome = [(0.14, 0.72), (0.16, 0.45), (0.3, tall + 0.06), (0.5, tall), (0.7, tall + 0.06),
            (0.84, 0.45), (0.86, 0.72)]  # fmt: skip
    drawing.body(smooth(jittered(rng, dome, 0.01)), cloth, 0.25)
    band = smooth(
        [(0.11, 0.62), (0.5, 0.7), (0.89, 0.62), (0.9, 0.84), (0.5, 0.93), (0.1, 0.84)], steps=4
    )
    colour = f32(colours[1] if chance(rng, 0.4) else colours[0]) * 0.92
    cover = drawing.body(band, np.clip(colour * ribs, 0, 1).astype(np.float32), 0.08)
    if chance(rng, 0.4):
        pom = [(0.5 + 0.11 * np.cos(a), tall + 0.11 * np.sin(a)) for a in np.linspace(0, 6, 14)]
        drawing.body(smooth(jittered(rng, pom, 0.008)), colours[2], 0.1)
    if chance(rng, 0.7):
        patch = [(0.43, 0.72), (0.57, 0.72), (0.57, 0.83), (0.43, 0.83)]
        drawing.panel(patch, colours[3], cover, 1)
    drawing.crumple(rng, 6, (1, 1.5))
    return drawing.relief(0.0), drawing.height


def glasses(rng: np.random.Generator, colours: Palette) -> Drawn:
    """Sunglasses from the front: thin frame, two lenses."""
    drawing, n = Drawing(), pick(rng, [2.0, 2.5, 3.5, 5.0])
    rx, ry = between(rng, 0.18, 0.21), between(rng, 0.12, 0.18)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    slant = between(rng, -0.25, 0.25)
    rim, lens_colour = (
        between(rng, 0.018, 0.045),
        pick(rng, [(0.1, 0.1, 0.11), (0.3, 0.2, 0.12), vivid(rng)]),
    )
    frame = colours[0] if chance(rng, 0.7) else (0.08, 0.08, 0.09)
    shade = np.linspace(0.75, 1.5, SIZE)[:, None, None]
    lens = np.clip(f32(lens_colour) * shade + 0.04, 0, 1).astype(np.float32)
    drawing.line(smooth([(0.38, 0.46), (0.5, 0.43), (0.62, 0.46)], False), frame, 7, None, -2)
    for sign in (-1, 1):
        ex = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** (2 / n)
        ey = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** (2 / n)
        cx = 0.5 + sign * (rx + 0.045)
        points = np.stack([cx + sign * rx * ex, 0.5 + ry * ey - slant * 0.12 * ex * (ey < 0)], -1)
        outer = np.stack([cx + (points[:, 0] - cx) * (1 + rim / rx),
                          0.5 + (points[:, 1] - 0.5) * (1 + rim / ry)], -1)  # fmt: skip
        temple = [(cx + sign * rx * 0.8, 0.42), (0.5 + sign * 0.47, 0.39),
                  (0.5 + sign * 0.47, 0.45), (cx + sign * rx * 0.9, 0.47)]  # fmt: skip
        drawing.body(temple, frame, 0.02)
        cover = drawing.body(outer, frame, 0.02)
        drawing.panel(points, lens, cover, -1.5)
    return drawing.relief(between(rng, 0.5, 1.0)), drawing.height


def handbag(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A bag with handles that one sees through, flap and clasp."""
    drawing = Drawing()
    top, narrow = between(rng, 0.34, 0.48), between(rng, 0.08, 0.2)
    skin, trim = _cloth(rng, colours, 0.3, 0.6), colours[1]
    for lift in (0.0, 0.05):
        arc = [(0.32, top + 0.03), (0.34, top - 0.2 + lift), (0.5, top - 0.29 + lift),
               (0.66, top - 0.2 + lift), (0.68, top + 0.03)]  # fmt: skip
        drawing.line(smooth(arc, False), trim, between(rng, 5, 8), None, -2)
    shape = jittered(rng, [(0.1 + narrow, top), (0.06, 0.9), (0.12, 0.95)], 0.008)
    front = drawing.body(f32(mirrored(shape)), skin, 0.09)
    if chance(rng, 0.6):
        low = between(rng, 0.55, 0.75)
        flap = smooth(
            [
                (0.08, top - 0.1),
                (0.92, top - 0.1),
                (0.88, low - 0.08),
                (0.5, low),
                (0.12, low - 0.08),
            ]
        )
        drawing.panel(flap, pick(rng, [skin, f32(trim)]), front, 2.5)
    if chance(rng, 0.8):
        y = between(rng, 0.55, 0.7)
        clasp = [(0.46, y), (0.54, y), (0.54, y + 0.07), (0.46, y + 0.07)]
        drawing.panel(clasp, (0.85, 0.68, 0.3), front, 2.0)
    for x in (0.3, 0.7):
        drawing.line([(x, top), (x, 0.94)], jitter(rng, neutral(rng), 0.02), 1, front)
    drawing.crumple(rng, 5, (1, 1))
    return drawing.relief(between(rng, 0, 0.5)), drawing.height


def backpack(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A rucksack from the front: lid, pocket, straps."""
    drawing, cloth = Drawing(), _cloth(rng, colours, 0.2, 0.6)
    drawing.line(smooth([(0.42, 0.14), (0.5, 0.03), (0.58, 0.14)], False), colours[1], 6, None, -2)
    for side in (0.18, 0.82):
        strap = smooth([(side, 0.3), (side + (side - 0.5) * 0.25, 0.6), (side, 0.88)], False)
        drawing.line(strap, colours[1], 7, None, -2)
    shape = [(0.36, 0.1), (0.22, 0.2), (0.17, 0.5), (0.16, 0.86), (0.24, 0.95)]
    front = drawing.body(smooth(mirrored(jittered(rng, shape, 0.01)), steps=5), cloth, 0.16)
    low = between(rng, 0.5, 0.62)
    pocket = smooth([(0.25, low), (0.75, low), (0.77, 0.88), (0.23, 0.88)], steps=5)
    drawing.panel(pocket, pick(rng, colours[1:3]), front, 3)
    drawing.line([(0.27, low + 0.07), (0.73, low + 0.07)], colours[3], 2, front)
    arc = smooth([(0.2, 0.42), (0.3, 0.25), (0.5, 0.2), (0.7, 0.25), (0.8, 0.42)], False)
    drawing.line(arc, colours[3], 2, front)
    cover = drawing.mask([(0.44, 0.3), (0.56, 0.3), (0.56, 0.4), (0.44, 0.4)])
    drawing.albedo += (cover * front)[..., None] * (f32(colours[3]) - drawing.albedo)
    drawing.crumple(rng, 7, (1, 1))
    return drawing.relief(0.05), drawing.height


def cushion(rng: np.random.Generator, colours: Palette) -> Drawn:
    """A square pillow with pinched corners and a printed cover."""
    drawing, pinch = Drawing(), between(rng, 0.03, 0.09)
    wide = between(rng, 0.36, 0.46)
    tall = min(0.46, wide * between(rng, 0.65, 1.25))
    t = np.linspace(-1, 1, 24, dtype=np.float32)[:-1]
    bow = 1 - pinch * np.abs(np.sin(np.pi * t)) ** 0.8 - pinch * 0.6 * (1 - t * t)
    edges = [(t, -bow), (bow, t), (-t, bow), (-bow, -t)]
    points = np.concatenate([np.stack([0.5 + wide * x, 0.5 + tall * y], -1) for x, y in edges])
    cover = drawing.body(points, _cloth(rng, colours, 0.6, 0.15), 0.4)
    drawing.line(np.concatenate([points, points[:1]]), colours[1], 1.5, cover, -0.6)
    at = (np.arange(SIZE, dtype=np.float32) / SIZE - 0.5) / INSET
    dome = (1 - np.clip(at / wide, -1, 1) ** 4)[None] * (1 - np.clip(at / tall, -1, 1) ** 4)[
        :, None
    ]
    drawing.height = f32(between(rng, 20, 34) * PX * np.sqrt(dome)) * cover
    drawing.crumple(rng, between(rng, 4, 10), (1, 1))
    drawing.height = cv2.GaussianBlur(drawing.height, (0, 0), 2.0 * PX)
    return drawing.relief(0.0), drawing.height
