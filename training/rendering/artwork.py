"""Labels and prints, drawn with Pillow: text, rules, panels and simple ornaments."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = {
    "sans": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "light": "DejaVuSans-ExtraLight.ttf",
    "condensed": "DejaVuSansCondensed.ttf",
    "condensed-bold": "DejaVuSansCondensed-Bold.ttf",
    "serif": "DejaVuSerif.ttf",
    "serif-bold": "DejaVuSerif-Bold.ttf",
    "serif-italic": "DejaVuSerif-Italic.ttf",
    "roman": "DejaVuMathTeXGyre.ttf",
    "mono": "DejaVuSansMono.ttf",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture to draw on, in px, with `draw` open on it."""

    image: Image.Image
    draw: ImageDraw.ImageDraw

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    def text(
        self,
        text: str,
        center: tuple[float, float],
        size: float,
        colour: str,
        font: str = "sans",
        tracking: float = 0.0,
    ) -> None:
        """One line about a centre; `size` in px, `tracking` in shares of the size."""
        face = typeface(font, size)
        if not tracking:
            self.draw.text(center, text, fill=colour, font=face, anchor="mm")
            return
        gap = tracking * size
        widths = [face.getlength(c) for c in text]
        x = center[0] - (sum(widths) + gap * (len(text) - 1)) / 2
        for character, width in zip(text, widths, strict=True):
            self.draw.text((x, center[1]), character, fill=colour, font=face, anchor="lm")
            x += width + gap

    def rule(self, center: tuple[float, float], width: float, colour: str, weight: float) -> None:
        """A horizontal line about a centre."""
        x, y = center
        box = (x - width / 2, y - weight / 2, x + width / 2, y + weight / 2)
        self.draw.rectangle(box, fill=colour)

    def panel(
        self,
        center: tuple[float, float],
        size: tuple[float, float],
        fill: str | None = None,
        outline: str | None = None,
        weight: int = 0,
        radius: float = 0.0,
    ) -> None:
        """A rectangle about a centre, filled or outlined."""
        (x, y), (w, h) = center, size
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        self.draw.rounded_rectangle(box, radius, fill=fill, outline=outline, width=weight)

    def disc(self, center: tuple[float, float], radius: float, colour: str) -> None:
        self.draw.circle(center, radius, fill=colour)

    def shape(self, points: np.ndarray, colour: str) -> None:
        """A filled polygon of (N, 2) points."""
        self.draw.polygon([(float(x), float(y)) for x, y in points], fill=colour)

    def leaf(self, base: tuple[float, float], length: float, angle_deg: float, colour: str) -> None:
        """A pointed leaf that grows from its base at an angle, 0 to the right, 90 up."""
        t = np.linspace(0.0, 1.0, 40)
        half = 0.2 * length * np.sin(np.pi * t**0.8)
        blade = np.concatenate(
            [np.stack([t * length, half], 1), np.stack([t * length, -half], 1)[::-1]]
        )
        a = np.radians(angle_deg)
        turn = np.array([[np.cos(a), -np.sin(a)], [-np.sin(a), -np.cos(a)]])
        self.shape(blade @ turn.T + np.array(base), colour)


def sheet(width: int, height: int, colour: str) -> Sheet:
    """An empty sheet of one colour."""
    image = Image.new("RGB", (width, height), colour)
    return Sheet(image, ImageDraw.Draw(image))


def typeface(font: str, size: float) -> ImageFont.FreeTypeFont:
    """A font of the DejaVu family, which must be installed; `size` in px.

    Raises OSError where the font is not found.
    """
    return ImageFont.truetype(FONTS[font], size)


def grain(
    width: int,
    height: int,
    colour: str,
    amount: float,
    seed: int,
    stretch: tuple[int, int] = (1, 1),
) -> Image.Image:
    """A colour with fine irregularities (paper, clay, brushing): `amount` of 255, `stretch` px."""
    rng = np.random.default_rng(seed)
    sx, sy = stretch
    dots = rng.normal(128, 40, (max(height // sy, 1), max(width // sx, 1))).clip(0, 255)
    dots[:, -1] = dots[:, 0]  # no seam where the picture is laid round a body
    noise = Image.fromarray(dots.astype("u1")).resize((width, height), Image.Resampling.BICUBIC)
    shift = (np.asarray(noise, dtype=float) - 128) / 40 * amount
    base = np.asarray(Image.new("RGB", (width, height), colour), dtype=float)
    return Image.fromarray((base + shift[..., None]).clip(0, 255).astype("u1"))


def weave(width: int, height: int, threads: int, light: str, dark: str) -> Image.Image:
    """A plain weave of `threads` across; also a relief when drawn in white and black."""
    x, y = np.meshgrid(np.arange(width) / width * threads, np.arange(height) / width * threads)
    over = (np.floor(x) + np.floor(y)) % 2
    bulge = np.where(over > 0, np.sin(np.pi * (x % 1)), np.sin(np.pi * (y % 1)))
    a, b = (np.asarray(Image.new("RGB", (1, 1), c), dtype=float)[0, 0] for c in (dark, light))
    return Image.fromarray((a + (b - a) * bulge[..., None]).clip(0, 255).astype("u1"))


def gradient(width: int, height: int, stops: Sequence[tuple[float, str]]) -> Image.Image:
    """Colours running from top (0) to bottom (1)."""
    at = [s for s, _ in stops]
    rgb = np.array([np.asarray(Image.new("RGB", (1, 1), c), dtype=float)[0, 0] for _, c in stops])
    y = np.linspace(0.0, 1.0, height)
    column = np.stack([np.interp(y, at, rgb[:, k]) for k in range(3)], axis=1)
    return Image.fromarray(np.repeat(column[:, None], width, axis=1).astype("u1"))
