"""Colour words, and the colours that products and scenes are painted in."""

import colorsys
from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np

from training.scenes_synth.fields import F32, U8, between, chance, f32, pick

Colour: TypeAlias = tuple[float, float, float]

# Word -> sRGB anchors; a pixel's word is that of the nearest anchor in CIE Lab.
COLOUR_ANCHORS: Final[dict[str, list[tuple[int, int, int]]]] = {
    "white": [(255, 255, 255), (238, 238, 240)],
    "black": [(12, 12, 14), (38, 38, 42)],
    "grey": [(128, 128, 130), (90, 90, 94), (175, 175, 178)],
    "silver": [(205, 207, 212)],
    "red": [(205, 25, 30), (160, 20, 30), (235, 60, 50)],
    "burgundy": [(100, 15, 35)],
    "orange": [(245, 130, 25), (225, 100, 20)],
    "coral": [(250, 125, 105)],
    "yellow": [(250, 220, 40), (250, 235, 120)],
    "gold": [(205, 160, 60)],
    "mustard": [(200, 155, 20)],
    "green": [(40, 150, 60), (20, 95, 45), (110, 190, 80)],
    "olive": [(110, 110, 45)],
    "mint": [(165, 228, 195)],
    "teal": [(15, 128, 128), (50, 165, 160)],
    "turquoise": [(60, 205, 205)],
    "blue": [(30, 85, 205), (50, 120, 235), (20, 50, 145)],
    "navy": [(20, 25, 75), (28, 25, 55)],
    "purple": [(115, 45, 160), (90, 60, 130)],
    "lavender": [(190, 170, 230)],
    "pink": [(245, 140, 180), (250, 190, 210), (230, 70, 140)],
    "brown": [(110, 65, 35), (75, 45, 30), (145, 95, 60)],
    "beige": [(225, 205, 175), (205, 185, 155)],
    "cream": [(250, 242, 220)],
}
COLOUR_WORDS: Final = tuple(COLOUR_ANCHORS)


def _to_lab(rgb: U8) -> F32:
    scaled = rgb.reshape(-1, 1, 3).astype(np.float32) / 255
    return cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB).reshape(-1, 3)


_ANCHOR_WORDS: Final = [w for w, anchors in COLOUR_ANCHORS.items() for _ in anchors]
_ANCHOR_LAB: Final = _to_lab(np.array([a for g in COLOUR_ANCHORS.values() for a in g], np.uint8))


def colour_words(rgb: U8, alpha: U8, limit: int = 2, least_share: float = 0.22) -> list[str]:
    """The words of the colours that cover most of a picture, the largest first.

    `rgb` (H, W, 3) and `alpha` (H, W), both 0..255. At least one word, at most `limit`; the
    second and later ones only when they cover `least_share` of the product.
    """
    pixels = rgb[::5, ::5][alpha[::5, ::5] > 200]
    if len(pixels) == 0:
        return ["grey"]
    # Lightness counts less than hue: shading must not turn white into grey, blue into navy.
    apart = (_to_lab(pixels)[:, None] - _ANCHOR_LAB[None]) * f32([0.75, 1, 1])
    distance = (apart**2).sum(-1)
    votes: dict[str, int] = {}
    for index, count in enumerate(np.bincount(distance.argmin(1), minlength=len(_ANCHOR_LAB))):
        votes[_ANCHOR_WORDS[index]] = votes.get(_ANCHOR_WORDS[index], 0) + int(count)
    ranked = sorted(votes, key=lambda word: -votes[word])
    wanted = [w for w in ranked[1:limit] if votes[w] >= least_share * len(pixels)]
    return ranked[:1] + wanted


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """An sRGB colour from hue, saturation and value, each in [0, 1]."""
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def vivid(rng: np.random.Generator) -> Colour:
    """A saturated brand colour."""
    return hsv(rng.random(), between(rng, 0.6, 1.0), between(rng, 0.45, 1.0))


def pastel(rng: np.random.Generator) -> Colour:
    """A pale, friendly colour."""
    return hsv(rng.random(), between(rng, 0.15, 0.4), between(rng, 0.85, 1.0))


def neutral(rng: np.random.Generator) -> Colour:
    """White, grey, black, beige or brown."""
    kind = rng.integers(5)
    if kind == 0:
        return hsv(0.1, between(rng, 0, 0.03), between(rng, 0.9, 0.99))
    if kind == 1:
        return hsv(0.6, between(rng, 0, 0.08), between(rng, 0.06, 0.2))
    if kind == 2:
        return hsv(0.6, between(rng, 0, 0.06), between(rng, 0.35, 0.75))
    return hsv(between(rng, 0.05, 0.12), between(rng, 0.2, 0.55), between(rng, 0.25, 0.9))


def product_palette(rng: np.random.Generator) -> list[Colour]:
    """Four colours that go together: main, second, accent, print."""
    mode = rng.random()
    white, ink = (0.96, 0.96, 0.96), hsv(rng.random(), 0.3, 0.1)
    main = vivid(rng) if mode < 0.44 else pastel(rng) if mode < 0.58 else neutral(rng)
    second = pick(rng, [white, ink, neutral(rng), vivid(rng), pastel(rng)])
    accent = vivid(rng) if chance(rng, 0.6) else neutral(rng)
    prints = max([white, ink, accent], key=lambda c: abs(luma(c) - luma(main)))
    if chance(rng, 0.2):
        main, second = second, main
        prints = white if luma(main) < 0.5 else ink
    return [main, second, accent, prints]


def luma(colour: Sequence[float]) -> float:
    """Perceived lightness of an sRGB colour, in [0, 1]."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def jitter(rng: np.random.Generator, colour: Sequence[float], amount: float = 0.05) -> Colour:
    """The colour, a little changed."""
    r, g, b = (float(np.clip(c + rng.uniform(-amount, amount), 0, 1)) for c in colour)
    return r, g, b
