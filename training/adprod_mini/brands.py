"""A made-up brand: its name, colours, typeface and logo, and the labels drawn with them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from training.rendering.artwork import Sheet, sheet
from training.scenes_synth.palette import Colour, luma, product_palette

SYLLABLES: Final = (
    "ba", "be", "bo", "da", "dor", "el", "fa", "fen", "go", "ha", "il", "ka", "kor", "la", "lin",
    "lo", "lu", "ma", "mel", "mi", "na", "no", "nor", "pa", "ra", "ri", "ro", "sa", "sol", "ta",
    "ten", "ti", "tor", "va", "vel", "vi", "ya", "zan", "zo",
)  # fmt: skip
LINES: Final = (
    "original", "no. 7", "pure", "daily", "fresh", "classic", "gold", "soft", "sea salt", "amber",
    "limited", "250 ml", "since 1921", "mild", "studio", "extra", "bloom", "cedar", "citrus",
)  # fmt: skip
FONTS: Final = ("bold", "serif-bold", "condensed-bold", "roman", "sans", "mono")
LIGHTER: Final = 0.5
"""Colours lighter than this take dark print."""


@dataclass(frozen=True, slots=True)
class Brand:
    """Colours are '#rrggbb': `main` of the body, `second` of caps and bands, `accent`, `ink`."""

    name: str
    line: str
    font: str
    main: str
    second: str
    accent: str
    ink: str
    logo: int
    pattern: int


def draw_brand(rng: np.random.Generator) -> Brand:
    """Another one at every call."""
    palette = product_palette(rng)
    count = int(rng.integers(2, 4))
    name = "".join(str(s) for s in rng.choice(SYLLABLES, count))
    return Brand(
        name.upper() if rng.random() < 0.6 else name.capitalize(),
        str(rng.choice(LINES)),
        str(rng.choice(FONTS)),
        *(hexed(c) for c in palette),
        logo=int(rng.integers(len(LOGOS))),
        pattern=int(rng.integers(len(PATTERNS))) if rng.random() < 0.75 else 0,
    )


def hexed(colour: Colour) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour)


def ink_on(colour: str, brand: Brand) -> str:
    """A colour that can be read on another: the brand's if it stands out, else black or white."""
    if abs(_luma(brand.ink) - _luma(colour)) > 0.3:
        return brand.ink
    return "#1c1a1a" if _luma(colour) > LIGHTER else "#f6f3ee"


def _luma(colour: str) -> float:
    return luma([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def label(
    rng: np.random.Generator, brand: Brand, width: int, height: int, seen: float = 1.0
) -> Image.Image:
    """A print of so many px; of its width the middle share `seen` faces the camera."""
    art = sheet(width, height, brand.main)
    PATTERNS[brand.pattern](rng, art, brand)
    x, y, room = width / 2, height * rng.uniform(0.38, 0.6), 0.86 * seen * width
    ground = brand.main
    if brand.pattern or rng.random() < 0.5:
        ground = str(rng.choice([brand.second, brand.accent, "#f7f4ee"]))
        _plate(rng, art, (x, y), min(room, 1.1 * height), ground)
    ink = ink_on(ground, brand)
    size = min(1.35 * room / max(len(brand.name), 3), 0.26 * height)
    art.text(brand.name, (x, y + 0.06 * height), size, ink, brand.font)
    art.text(brand.line, (x, y + 0.06 * height + 0.85 * size), 0.42 * size, ink, "sans")
    radius = min(0.11 * height, 0.2 * room)
    tint = brand.accent if abs(_luma(brand.accent) - _luma(ground)) > 0.12 else ink
    LOGOS[brand.logo](art, (x, y - 0.16 * height), radius, tint)
    if rng.random() < 0.4:
        art.rule((x, 0.94 * height), width, brand.second, 0.07 * height)
    return art.image


def _plate(
    rng: np.random.Generator, art: Sheet, centre: tuple[float, float], room: float, colour: str
) -> None:
    """What the name stands on: a band all round, a panel or a disc."""
    kind = rng.random()
    tall = min(0.62 * art.height, room)
    if kind < 0.4:
        art.rule(centre, art.width, colour, tall)
    elif kind < 0.75:
        art.panel(centre, (room, tall), fill=colour, radius=rng.uniform(0, 0.3) * tall)
    else:
        art.disc(centre, min(0.48 * room, 0.4 * art.height), colour)


Pattern = Callable[[np.random.Generator, Sheet, Brand], None]


def _plain(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    del rng, art, brand


def _bars(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    step = art.width / int(rng.integers(12, 30))
    for k in range(round(art.width / step)):
        art.panel(((k + 0.5) * step, art.height / 2), (0.5 * step, art.height), fill=brand.second)


def _hoops(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    count = int(rng.integers(2, 7))
    for k in range(count):
        colour = (brand.second, brand.accent)[k % 2]
        art.rule((art.width / 2, (k + 0.5) * art.height / count), art.width, colour,
                 0.45 * art.height / count)  # fmt: skip


def _dots(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    step = art.height / int(rng.integers(4, 9))
    for row in range(int(art.height / step) + 1):
        for column in range(int(art.width / step) + 1):
            at = ((column + 0.5 * (row % 2)) * step, (row + 0.5) * step)
            art.disc(at, 0.28 * step, (brand.second, brand.accent)[row % 2])


def _waves(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    x = np.linspace(0, art.width, 200)
    for k, colour in enumerate((brand.second, brand.accent)):
        top = art.height * (rng.uniform(0.45, 0.65) + 0.18 * k)
        y = top + 0.07 * art.height * np.sin(x * 2 * np.pi * 6 / art.width + rng.uniform(0, 6))
        art.shape(
            np.concatenate([np.stack([x, y], 1), [[art.width, art.height], [0, art.height]]]),
            colour,
        )


def _facets(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    for _ in range(26):
        middle = rng.uniform(0, 1, 2) * (art.width, art.height)
        corners = middle + rng.normal(0, 0.16 * art.height, (3, 2))
        art.shape(corners, str(rng.choice([brand.second, brand.accent, brand.main])))


def _slant(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    step = art.height / rng.uniform(1.2, 3)
    for k in range(-4, int(art.width / step) + 4):
        x = 2 * k * step
        art.shape(
            np.array([[x, 0], [x + step, 0], [x + step - art.height, art.height],
                      [x - art.height, art.height]]),
            brand.second,
        )  # fmt: skip


def _leaves(rng: np.random.Generator, art: Sheet, brand: Brand) -> None:
    for _ in range(60):
        base = tuple(rng.uniform(0, 1, 2) * (art.width, art.height))
        colour = str(rng.choice([brand.second, brand.accent]))
        art.leaf(base, 0.22 * art.height, rng.uniform(0, 360), colour)


PATTERNS: Final[tuple[Pattern, ...]] = (
    _plain, _bars, _hoops, _dots, _waves, _facets, _slant, _leaves,
)  # fmt: skip

Logo = Callable[[Sheet, tuple[float, float], float, str], None]


def _polygon(corners: int, turn_deg: float, inner: float = 1.0) -> Logo:
    """A regular polygon, or a star whose inner corners lie at a share of the radius."""

    def drawn(art: Sheet, centre: tuple[float, float], radius: float, colour: str) -> None:
        count = corners * 2
        angle = np.radians(turn_deg) + np.arange(count) * 2 * np.pi / count
        reach = radius * np.where(np.arange(count) % 2, inner, 1.0)
        points = np.stack([reach * np.cos(angle), reach * np.sin(angle)], 1)
        art.shape(points + np.array(centre), colour)

    return drawn


def _disc(art: Sheet, centre: tuple[float, float], radius: float, colour: str) -> None:
    art.disc(centre, radius, colour)


def _sprout(art: Sheet, centre: tuple[float, float], radius: float, colour: str) -> None:
    base = (centre[0], centre[1] + radius)
    for angle in (40, 90, 140):
        art.leaf(base, 2 * radius, angle, colour)


def _peaks(art: Sheet, centre: tuple[float, float], radius: float, colour: str) -> None:
    shape = np.array([(-1.3, 1), (-0.5, -0.7), (-0.1, 0), (0.4, -1), (1.3, 1)])
    art.shape(shape * radius + np.array(centre), colour)


def _moon(art: Sheet, centre: tuple[float, float], radius: float, colour: str) -> None:
    a, b = np.linspace(-2.2, 2.2, 40), np.linspace(1.75, -1.75, 40)
    outer = np.stack([np.cos(a), np.sin(a)], 1)
    inner = np.stack([0.75 * np.cos(b) + 0.35 - 1.0, 0.83 * np.sin(b)], 1)
    art.shape(np.concatenate([outer, inner]) * radius + np.array(centre), colour)


LOGOS: Final[tuple[Logo, ...]] = (
    _disc, _sprout, _peaks, _moon,
    _polygon(4, 0), _polygon(3, -90), _polygon(6, 0), _polygon(5, -90, 0.42), _polygon(8, 0, 0.6),
)  # fmt: skip
