"""What is printed on products: patterns, logos, rows of glyphs and words."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np

from training.scenes_synth.fields import F32, U8, between, blobs, chance, f32, flat, grid, mix, pick
from training.scenes_synth.palette import Colour

PRINT_WORDS: Final = (
    "AURA", "nova", "Luna", "PURE", "fresh", "GLOW", "No.5", "juice", "TERRA", "bold", "OAK",
    "Mila", "ZEST", "CO", "24h", "silk", "RIVA", "kind", "ECHO", "Vita", "100", "50", "eco", "S",
    "HELIO", "north", "PEAK", "umi", "Saga", "X2", "orbit", "MONO", "fleur", "THE BOOK", "open",
)  # fmt: skip
FONTS: Final = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX, cv2.FONT_HERSHEY_PLAIN,
)  # fmt: skip

Paint: TypeAlias = Callable[[np.random.Generator, int, int, Sequence[Colour]], F32]


def as_bytes(colour: Sequence[float]) -> tuple[int, int, int]:
    """A colour in [0, 1] as OpenCV draws it on a uint8 canvas."""
    r, g, b = (round(255 * c) for c in colour[:3])
    return r, g, b


def canvas(image: F32) -> U8:
    """The image as uint8, contiguous: only such can OpenCV draw smooth lines and text on."""
    return np.ascontiguousarray((np.clip(image, 0, 1) * 255).astype(np.uint8))


def finished(drawn: U8) -> F32:
    """Back from the canvas to float32 in [0, 1]."""
    return drawn.astype(np.float32) / 255


def solid(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """One colour, hardly mottled."""
    base = flat(height, width, colours[0])
    return base * (0.97 + 0.06 * blobs(rng, height, width, 5)[..., None])


def _phase(rng: np.random.Generator, height: int, width: int, bend: float) -> F32:
    x, y = grid(height, width)
    angle = pick(rng, [0.0, np.pi / 2, between(rng, 0, np.pi)])
    along = x * np.cos(angle) * width / height + y * np.sin(angle)
    return (along + bend * blobs(rng, height, width, 4)).astype(np.float32)


def stripes(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """Parallel stripes, straight or wavy, at any angle."""
    bend = between(rng, 0.05, 0.4) if chance(rng, 0.4) else 0.0
    wave = np.sin(_phase(rng, height, width, bend) * 2 * np.pi * between(rng, 3, 12))
    edge = np.clip((wave - between(rng, -0.6, 0.6)) * 6 + 0.5, 0, 1).astype(np.float32)
    return mix(flat(height, width, colours[0]), flat(height, width, colours[1]), edge)


def checks(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """A chequered or tartan cloth."""
    x, y = grid(height, width)
    n, duty = between(rng, 3, 9), between(rng, -0.4, 0.4)
    across = np.clip((np.sin(x * 2 * np.pi * n * width / height) - duty) * 6, 0, 1)
    down = np.clip((np.sin(y * 2 * np.pi * n) - duty) * 6, 0, 1)
    xor = chance(rng, 0.4)
    level = np.abs(across - down) if xor else (across + down) / 2
    return mix(flat(height, width, colours[0]), flat(height, width, colours[1]), f32(level))


def dots(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """Polka dots in rows."""
    image = canvas(flat(height, width, colours[0]))
    step = between(rng, 0.08, 0.22) * height
    radius = max(2, int(step * between(rng, 0.18, 0.42)))
    for row in range(int(height / step) + 2):
        for col in range(int(width / step) + 2):
            centre = (int((col + (row % 2) / 2) * step), int(row * step))
            cv2.circle(image, centre, radius, as_bytes(colours[1]), -1, cv2.LINE_AA)
    return finished(image)


def gradient(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """One colour fading into another."""
    t = np.clip(_phase(rng, height, width, 0.2), 0, 1)
    return mix(flat(height, width, colours[0]), flat(height, width, colours[1]), t)


def marbling(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """Swirls of three colours."""
    field = blobs(rng, height, width, int(rng.integers(4, 8)))
    level = 0.5 + 0.5 * np.sin(field * between(rng, 10, 30))
    base = mix(flat(height, width, colours[0]), flat(height, width, colours[1]), f32(level))
    spot = np.clip((blobs(rng, height, width, 6) - 0.7) * 12, 0, 1)
    return mix(base, flat(height, width, colours[2]), spot)


def blocks(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """A few large rectangles and triangles of colour."""
    image = canvas(flat(height, width, colours[0]))
    for _ in range(int(rng.integers(2, 6))):
        corners = rng.uniform(-0.2, 1.2, (int(rng.integers(3, 5)), 2)) * (width, height)
        cv2.fillConvexPoly(
            image,
            cv2.convexHull(corners.astype(np.int32)),
            as_bytes(pick(rng, colours[1:3])),
            cv2.LINE_AA,
        )
    return finished(image)


def halves(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """Two fields of colour that meet at a straight line."""
    image = flat(height, width, colours[0])
    cut = between(rng, 0.3, 0.75)
    if chance(rng, 0.7):
        image[int(cut * height) :] = colours[1]
    else:
        image[:, int(cut * width) :] = colours[1]
    return image


def confetti(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> F32:
    """Short strokes or flecks strewn about."""
    image = canvas(flat(height, width, colours[0]))
    length, thick = between(rng, 0.02, 0.1) * height, int(rng.integers(2, 7))
    for x, y, angle in rng.uniform(0, 1, (int(rng.integers(20, 70)), 3)):
        a = np.array([x * width, y * height])
        b = a + length * np.array([np.cos(angle * 6.3), np.sin(angle * 6.3)])
        colour = as_bytes(pick(rng, colours[1:4]))
        cv2.line(image, a.astype(int).tolist(), b.astype(int).tolist(), colour, thick, cv2.LINE_AA)
    return finished(image)


PATTERNS: Final[tuple[Paint, ...]] = (
    solid, solid, solid, stripes, checks, dots, gradient, marbling, blocks, halves, confetti,
)  # fmt: skip


def put_word(
    image: U8, word: str, centre: tuple[float, float], width: float, colour: Colour, style: int
) -> None:
    """Write `word` in place, centred at `centre` px and about `width` px wide."""
    font, thick = FONTS[style % len(FONTS)], 1 + style % 4
    (text_width, text_height), _ = cv2.getTextSize(word, font, 1.0, thick)
    scale = min(width / max(text_width, 1), image.shape[0] * 0.5 / max(text_height, 1))
    thick = max(1, round(thick * scale * 1.6))
    (text_width, text_height), _ = cv2.getTextSize(word, font, scale, thick)
    origin = (int(centre[0] - text_width / 2), int(centre[1] + text_height / 2))
    cv2.putText(image, word, origin, font, scale, as_bytes(colour), thick, cv2.LINE_AA)


def put_glyph_rows(
    rng: np.random.Generator, image: U8, box: tuple[float, float, float, float], colour: Colour
) -> None:
    """Rows of small dashes that look like print, inside box = (x0, y0, x1, y1) px."""
    x0, y0, x1, y1 = box
    pitch = max(4.0, image.shape[0] * between(rng, 0.03, 0.06))
    y = y0
    while y < y1:
        x = x0
        while x < x1 - pitch:
            end = min(x + pitch * between(rng, 0.4, 2.2), x1)
            bottom = (int(end), int(y + pitch * 0.4))
            cv2.rectangle(image, (int(x), int(y)), bottom, as_bytes(colour), -1)
            x = end + pitch * 0.4
        y += pitch


def put_logo(
    rng: np.random.Generator, image: U8, centre: tuple[float, float], radius: float, colour: Colour
) -> None:
    """A simple emblem: disc, ring, polygon, star, slanted bars or a leaf."""
    kind, n = int(rng.integers(6)), int(rng.integers(3, 7))
    ink = as_bytes(colour)
    cx, cy = int(centre[0]), int(centre[1])
    turn = rng.random() * 6.3
    if kind == 0:
        cv2.circle(image, (cx, cy), int(radius), ink, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.circle(image, (cx, cy), int(radius), ink, max(2, int(radius / 4)), cv2.LINE_AA)
    elif kind in (2, 3):
        angles = turn + np.linspace(0, 2 * np.pi, 2 * n, endpoint=False)
        radii = np.where(np.arange(2 * n) % 2, radius * (0.45 if kind == 3 else 0.95), radius)
        points = np.stack([cx + radii * np.cos(angles), cy + radii * np.sin(angles)], -1)
        cv2.fillPoly(image, [points.astype(np.int32)], ink, cv2.LINE_AA)
    elif kind == 4:
        for k in range(n - 1):
            x = cx + (k - n / 2) * radius * 0.6
            bar = np.array([[x, cy + radius], [x + radius, cy - radius]])
            bar = np.concatenate([bar, bar[::-1] + np.array([radius * 0.35, 0])])
            cv2.fillPoly(image, [bar.astype(np.int32)], ink, cv2.LINE_AA)
    else:
        axes = (int(radius), int(radius * 0.5))
        cv2.ellipse(image, (cx, cy), axes, np.degrees(turn), 0, 360, ink, -1, cv2.LINE_AA)


def printed(
    rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour], busy: float = 0.7
) -> F32:
    """A patterned face (height, width, 3), with print on it with probability `busy`."""
    plain = pick(rng, PATTERNS)(rng, height, width, colours).astype(np.float32)
    if not chance(rng, busy):
        return plain
    image = canvas(plain)
    ink = colours[3] if chance(rng, 0.7) else colours[2]
    if chance(rng, 0.3):
        y0 = between(rng, 0.2, 0.5) * height
        y1 = y0 + between(rng, 0.15, 0.4) * height
        cv2.rectangle(image, (0, int(y0)), (width, int(y1)), as_bytes(colours[1]), -1)
    if chance(rng, 0.55):
        centre = (width * between(rng, 0.35, 0.65), height * between(rng, 0.2, 0.7))
        put_logo(rng, image, centre, min(height, width) * between(rng, 0.08, 0.24), ink)
    if chance(rng, 0.65):
        for k in range(int(rng.integers(1, 3))):
            centre = (width * 0.5, height * (between(rng, 0.2, 0.5) + 0.2 * k))
            size = width * between(rng, 0.35, 0.85)
            put_word(image, pick(rng, PRINT_WORDS), centre, size, ink, int(rng.integers(24)))
    if chance(rng, 0.4):
        top = between(rng, 0.6, 0.8)
        box = (width * 0.2, height * top, width * between(rng, 0.5, 0.8), height * (top + 0.12))
        put_glyph_rows(rng, image, box, ink)
    return finished(image)
