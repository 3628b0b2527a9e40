"""Bottles, jars, cups, cartons and books: profiles and labels for `solids`."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import cv2
import numpy as np

from training.scenes_synth.fields import F32, between, chance, flat, pick
from training.scenes_synth.palette import Colour, hsv, jitter, luma
from training.scenes_synth.patterns import (
    PRINT_WORDS,
    as_bytes,
    canvas,
    finished,
    printed,
    put_glyph_rows,
    put_logo,
    put_word,
    solid,
)
from training.scenes_synth.relief import Relief
from training.scenes_synth.scale import PX
from training.scenes_synth.solids import Carton, Turning, box, revolve

View: TypeAlias = Callable[[float], Relief]
Palette: TypeAlias = Sequence[Colour]

N = 128  # samples of a profile
GOLD: Colour = (0.83, 0.66, 0.32)
STEEL: Colour = (0.75, 0.76, 0.79)


def _profile(points: Sequence[tuple[float, float]], softness: float = 1.5) -> F32:
    """Radius over height from (height, radius) corners, slightly rounded."""
    at, radius = np.array(points, np.float32).T
    sampled = np.interp(np.linspace(0, 1, N), at, radius).astype(np.float32)
    padded = np.pad(sampled, 8, mode="edge").reshape(-1, 1)
    return cv2.GaussianBlur(padded, (1, 0), sigmaX=0.1, sigmaY=softness).ravel()[8:-8].copy()


def _wrap(
    rng: np.random.Generator, colours: Palette, bands: Sequence[tuple[float, float, Colour]],
    label: tuple[float, float] | None,
) -> F32:  # fmt: skip
    """A texture once round (160 PX, 320 PX, 3): body colour, bands of colour, a printed label.

    The label faces the front and covers part of the way round or all of it.
    """
    height, width = 160 * PX, 320 * PX
    texture = solid(rng, height, width, [colours[0]])
    for v0, v1, colour in bands:
        texture[int(v0 * height) : int(v1 * height)] = colour
    if label is not None:
        y0, y1 = int(label[0] * height), int(label[1] * height)
        paper = [colours[1], colours[2], colours[0], colours[3]]
        if abs(luma(colours[1]) - luma(colours[3])) < 0.3:
            paper[3] = (0.1, 0.1, 0.12) if luma(colours[1]) > 0.5 else (0.95, 0.95, 0.95)
        wide = width if chance(rng, 0.3) else int(width * between(rng, 0.22, 0.42))
        front = printed(rng, max(y1 - y0, 8), int(min(wide, width * 0.42)), paper, 1.0)
        x0 = (width - front.shape[1]) // 2
        if wide == width:
            texture[y0 : y0 + front.shape[0]] = front[:, :1].mean((0, 1))
        texture[y0 : y0 + front.shape[0], x0 : x0 + front.shape[1]] = front
    return np.ascontiguousarray(np.clip(texture, 0, 1).astype(np.float32))


def _gloss(rng: np.random.Generator) -> float:
    return pick(rng, [0.0, 0.25, 0.6, 0.9, 1.0])


def _turned(turning: Turning) -> View:
    return lambda yaw: revolve(turning, yaw)


def bottle(rng: np.random.Generator, colours: Palette) -> View:
    """A bottle with shoulder, neck and cap."""
    body, neck = between(rng, 0.13, 0.26), between(rng, 0.04, 0.09)
    cap = max(neck, between(rng, neck, body * 0.9)) + 0.01
    shoulder, neck_end = between(rng, 0.28, 0.45), between(rng, 0.14, 0.24)
    cap_end = neck_end * between(rng, 0.4, 0.95)
    waist = body * between(rng, 0.82, 1.05)
    points = [(0, cap), (cap_end, cap), (cap_end + 0.005, neck), (neck_end, neck),
              (shoulder, body), (0.65, waist), (0.95, body), (1, body * 0.93)]  # fmt: skip
    cap_colour = pick(rng, [colours[2], colours[1], (0.1, 0.1, 0.1), GOLD, (0.95, 0.95, 0.95)])
    label = (shoulder + 0.05, between(rng, 0.75, 0.93)) if chance(rng, 0.85) else None
    bands = [(0.0, cap_end, cap_colour)]
    if chance(rng, 0.3):  # partly filled, as juice is
        bands.append((cap_end, shoulder * 0.85, jitter(rng, (0.9, 0.92, 0.93), 0.04)))
    texture = _wrap(rng, colours, bands, label)
    soft = between(rng, 0.8, 3.5)
    return _turned(Turning(_profile(points, soft), texture, between(rng, 0, 0.2), cap_colour,
                           None, _gloss(rng), pick(rng, [0.0, 0.0, 0.0, 0.5])))  # fmt: skip


def jar(rng: np.random.Generator, colours: Palette) -> View:
    """A low jar or tin with a wide lid."""
    body, lid_end = between(rng, 0.32, 0.65), between(rng, 0.14, 0.34)
    lid = body * between(rng, 0.88, 1.04)
    points = [(0, lid), (lid_end, lid), (lid_end + 0.01, body * 0.93), (lid_end + 0.08, body),
              (0.95, body), (1, body * 0.95)]  # fmt: skip
    lid_colour = pick(rng, [colours[2], colours[1], (0.1, 0.1, 0.1), GOLD, STEEL])
    texture = _wrap(
        rng, colours, [(0, lid_end, lid_colour)], (lid_end + 0.1, between(rng, 0.8, 0.95))
    )
    return _turned(Turning(_profile(points, 1.0), texture, between(rng, 0.05, 0.3), lid_colour,
                           None, _gloss(rng), 0.0))  # fmt: skip


def can(rng: np.random.Generator, colours: Palette) -> View:
    """A drinks can or canister."""
    body = between(rng, 0.2, 0.34)
    points = [(0, body * 0.84), (0.07, body), (0.94, body), (1, body * 0.86)]
    texture = printed(rng, 160 * PX, 320 * PX, colours, 0.0)
    front = printed(rng, 120 * PX, 120 * PX, colours, 1.0)
    texture[20 * PX : 140 * PX, 100 * PX : 220 * PX] = front
    texture[: 5 * PX], texture[-5 * PX :] = STEEL, STEEL
    return _turned(Turning(_profile(points, 1.0), np.clip(texture, 0, 1), between(rng, 0.05, 0.25),
                           STEEL, None, between(rng, 0.4, 1), pick(rng, [0.0, 0.35])))  # fmt: skip


def mug(rng: np.random.Generator, colours: Palette) -> View:
    """A mug or cup, mostly with an ear, open above."""
    body = between(rng, 0.36, 0.5)
    foot = body * between(rng, 0.65, 1.0)
    points = [(0, body), (0.6, body * 0.5 + foot * 0.5), (0.93, foot), (1, foot * 0.93)]
    texture = _wrap(
        rng, colours, [(0, 0.02, colours[1])], (0.2, 0.85) if chance(rng, 0.7) else None
    )
    well = pick(rng, [(0.25, 0.14, 0.08), (0.95, 0.95, 0.95), colours[0], colours[1]])
    ear = (between(rng, 0.2, 0.28), between(rng, 0.45, 0.65), between(rng, 0.06, 0.1))
    handle = ear if chance(rng, 0.75) else None
    return _turned(Turning(_profile(points, 2.0), texture, between(rng, 0.1, 0.32), colours[0],
                           well, _gloss(rng), 0.0, handle, colours[0]))  # fmt: skip


def vase(rng: np.random.Generator, colours: Palette) -> View:
    """A vase, pot or bowl of any curve."""
    radii = rng.uniform(0.12, 0.42, 5)
    if chance(rng, 0.3):
        radii = np.array([0.48, 0.46, 0.38, 0.26, 0.18])
    points = [(k / 4, float(r)) for k, r in enumerate(radii)]
    texture = printed(rng, 160 * PX, 320 * PX, colours, 0.2)
    return _turned(Turning(_profile(points, 9.0), np.clip(texture, 0, 1), between(rng, 0.08, 0.3),
                           colours[0], (0.2, 0.17, 0.15), _gloss(rng),
                           pick(rng, [0, 0, 0.7])))  # fmt: skip


def lipstick(rng: np.random.Generator, colours: Palette) -> View:
    """A slim cosmetic: lipstick, mascara, deodorant, perfume spray."""
    body, tip = between(rng, 0.1, 0.16), between(rng, 0.06, 0.11)
    a, b = between(rng, 0.2, 0.34), between(rng, 0.45, 0.6)
    points = [(0, tip * 0.3), (0.08, tip * 0.9), (a, tip), (a + 0.01, tip * 1.15), (b, tip * 1.15),
              (b + 0.01, body), (1, body)]  # fmt: skip
    metal = pick(rng, [GOLD, STEEL, colours[1]])
    bands = [(0, a, colours[2]), (a, b, metal)]
    texture = _wrap(rng, colours, bands, (b + 0.1, 0.9) if chance(rng, 0.6) else None)
    return _turned(Turning(_profile(points, 0.8), texture, between(rng, 0, 0.2), colours[2], None,
                           between(rng, 0.5, 1), pick(rng, [0.0, 0.4])))  # fmt: skip


def lamp(rng: np.random.Generator, colours: Palette) -> View:
    """A table lamp: shade over a foot."""
    shade, upper = between(rng, 0.28, 0.42), between(rng, 0.14, 0.3)
    cut = between(rng, 0.38, 0.52)
    belly, foot = between(rng, 0.04, 0.2), between(rng, 0.12, 0.24)
    points = [(0, upper), (cut, shade), (cut + 0.01, 0.03), (cut + 0.1, 0.035), (0.78, belly),
              (0.94, 0.06), (0.95, foot), (1, foot)]  # fmt: skip
    texture = _wrap(rng, colours, [(0, cut, colours[1]), (0.95, 1, colours[2])], None)
    return _turned(Turning(_profile(points, 1.6), texture, between(rng, 0.05, 0.15), colours[1],
                           (1, 0.95, 0.8), between(rng, 0, 0.6), 0.0))  # fmt: skip


def ball(rng: np.random.Generator, colours: Palette) -> View:
    """A sphere with a pattern: ball, ornament, bath bomb."""
    v = np.linspace(0, 1, N)
    radii = np.sqrt(np.clip(0.25 - (v - 0.5) ** 2, 1e-5, None)).astype(np.float32)
    texture = printed(rng, 160 * PX, 320 * PX, colours, 0.7)
    return _turned(Turning(radii, np.clip(texture, 0, 1), 0.0, colours[0], None, _gloss(rng),
                           pick(rng, [0, 0, 0, 0.6])))  # fmt: skip


def teapot(rng: np.random.Generator, colours: Palette) -> View:
    """A round pot with knob and ear."""
    points = [(0, 0.05), (0.1, 0.06), (0.12, 0.2), (0.3, 0.36), (0.6, 0.44), (0.9, 0.3), (1, 0.28)]
    texture = _wrap(rng, colours, [(0, 0.12, colours[2])], None)
    handle = (0.22, 0.5, 0.08)
    return _turned(Turning(_profile(points, 3.0), texture, 0.1, colours[2], None, _gloss(rng), 0.0,
                           handle, colours[1]))  # fmt: skip


def _cover(rng: np.random.Generator, colours: Palette, height: int, width: int) -> F32:
    """A book's or box's front: fields of colour, big words, small print."""
    if chance(rng, 0.45):
        return np.clip(printed(rng, height, width, colours, 1.0), 0, 1)
    image = canvas(flat(height, width, colours[0]))
    cut = int(height * between(rng, 0.4, 0.7))
    image[cut:] = as_bytes(colours[1])
    ink = colours[1] if abs(luma(colours[0]) - luma(colours[1])) > 0.3 else colours[3]
    lines, style = int(rng.integers(1, 4)), int(rng.integers(24))
    for k in range(lines):
        y = cut * (k + 0.7) / (lines + 0.4)
        put_word(
            image,
            pick(rng, PRINT_WORDS),
            (width / 2, y),
            width * between(rng, 0.4, 0.8),
            ink,
            style,
        )
    if chance(rng, 0.5):
        put_logo(rng, image, (width / 2, (cut + height) / 2), height * 0.1, colours[2])
    small = colours[0] if ink == colours[1] else colours[3]
    put_glyph_rows(
        rng, image, (width * 0.12, cut + height * 0.08, width * 0.6, cut + height * 0.2), small
    )
    return finished(image)


def _carton(
    rng: np.random.Generator, colours: Palette, extent: tuple[float, float, float],
    yaw: float, pitch: float, edge: Colour | None = None,
) -> View:  # fmt: skip
    w, h, d = extent
    px = 150 * PX / max(extent)
    front = _cover(rng, colours, max(16, int(h * px)), max(16, int(w * px)))
    side = printed(rng, max(16, int(h * px)), max(16, int(d * px)), colours, 0.6)
    top = printed(rng, max(16, int(d * px)), max(16, int(w * px)), colours, 0.2)
    if edge is not None:
        side, top = flat(40, 16, edge), flat(16, 40, edge)
        side[:, ::3] *= 0.9
    carton = Carton(extent, front, np.clip(side, 0, 1), np.clip(top, 0, 1), yaw, pitch,
                    pick(rng, [0.0, 0.1, 0.3]))  # fmt: skip
    return lambda turn: box(carton, turn)


def package(rng: np.random.Generator, colours: Palette) -> View:
    """A printed box seen from the front or over a corner."""
    extent = (between(rng, 0.5, 1.0), between(rng, 0.5, 1.2), between(rng, 0.2, 0.8))
    yaw = between(rng, -0.75, 0.75) if chance(rng, 0.8) else 0.0
    return _carton(rng, colours, extent, yaw, between(rng, 0.0, 0.4))


def book(rng: np.random.Generator, colours: Palette) -> View:
    """A book standing up."""
    extent = (between(rng, 0.6, 0.8), 1.0, between(rng, 0.03, 0.16))
    yaw = between(rng, -0.5, 0.5) if chance(rng, 0.6) else 0.0
    return _carton(rng, colours, extent, yaw, 0.02, hsv(0.11, 0.08, 0.93))


def card(rng: np.random.Generator, colours: Palette) -> View:
    """A card, voucher or notebook lying upright: flat, wide or tall."""
    extent = (1.0, between(rng, 0.55, 0.85), 0.012)
    yaw = between(rng, -0.4, 0.4) if chance(rng, 0.3) else 0.0
    return _carton(rng, colours, extent, yaw, 0.0, hsv(0.1, 0.02, 0.9))
