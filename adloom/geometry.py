"""Boxes, formats and placement: where and how large a product stands. Pure functions of values.

Two pixel spaces matter. The *canvas* is the delivered image; the *native* image is what the model
renders. The native image, scaled until it covers the canvas and cropped at the centre, becomes the
canvas, so a point maps from one to the other by one scale and one offset.
"""

from dataclasses import dataclass
from enum import StrEnum

CANONICAL_FILL = 0.85
"""Share of the canonical reference square that the longer side of the product's box takes."""

_GRID = 64  # native coordinates are kept on a 1/64 px grid, so that their hashes are stable


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in px."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box, px, origin at the top left."""

    x: float
    y: float
    width: float
    height: float

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def product_frame(self) -> tuple[float, float, float]:
        """(cx, cy, side) px of the canonical reference square mapped onto this product box."""
        cx, cy = self.center
        return cx, cy, max(self.width, self.height) / CANONICAL_FILL


@dataclass(frozen=True, slots=True)
class Format:
    """A delivered size and the native size that the model renders for it, in native units.

    A native unit is the model's smallest step, or as many of them as it was trained for: 16 px for
    `mini`, 32 px for `mini-256`, 64 px at SD1.5 scale.
    """

    slug: str
    canvas: Size
    units: tuple[int, int]

    def native(self, unit_px: int) -> Size:
        return Size(self.units[0] * unit_px, self.units[1] * unit_px)


FORMATS: dict[str, Format] = {
    f.slug: f
    for f in (
        Format("1:1", Size(1080, 1080), (8, 8)),
        Format("4:5", Size(1080, 1350), (8, 10)),
        Format("9:16", Size(1080, 1920), (6, 11)),
        Format("1.91:1", Size(1200, 628), (11, 6)),
    )
}


@dataclass(frozen=True, slots=True)
class CoverMap:
    """Native -> canvas: `canvas = native * scale - offset`."""

    scale: float
    offset_x: float
    offset_y: float

    def to_native(self, box: Box) -> Box:
        s = self.scale
        return Box(
            (box.x + self.offset_x) / s,
            (box.y + self.offset_y) / s,
            box.width / s,
            box.height / s,
        )

    def to_canvas(self, box: Box) -> Box:
        s = self.scale
        return Box(
            box.x * s - self.offset_x, box.y * s - self.offset_y, box.width * s, box.height * s
        )


def cover(native: Size, canvas: Size) -> CoverMap:
    """The map that scales `native` until it covers `canvas` and crops at the centre."""
    scale = max(canvas.width / native.width, canvas.height / native.height)
    return CoverMap(
        scale,
        (native.width * scale - canvas.width) / 2,
        (native.height * scale - canvas.height) / 2,
    )


class Anchor(StrEnum):
    """What of the product's box the placement fixes: its bottom or its centre."""

    BOTTOM = "bottom"
    CENTER = "center"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the product stands, in fractions of the canvas.

    The product's box, aspect kept, is the largest that fits in `max_width` × `height`; its centre
    is at `center_x`; its bottom (or centre, by `anchor`) is at `baseline_y`.
    """

    anchor: Anchor
    center_x: float
    baseline_y: float
    height: float
    max_width: float


def place(placement: Placement, product: Size, canvas: Size) -> Box:
    """The product's box on the canvas, px; always inside the canvas.

    `product` is the size of the product's bounding box in its photo; only its aspect counts.
    """
    scale = min(
        placement.height * canvas.height / product.height,
        placement.max_width * canvas.width / product.width,
        canvas.width / product.width,
        canvas.height / product.height,
    )
    width, height = product.width * scale, product.height * scale
    x = placement.center_x * canvas.width - width / 2
    below = height if placement.anchor is Anchor.BOTTOM else height / 2
    y = placement.baseline_y * canvas.height - below
    return Box(
        min(max(x, 0.0), canvas.width - width),
        min(max(y, 0.0), canvas.height - height),
        width,
        height,
    )


def place_native(placement: Placement, product: Size, fmt: Format, unit_px: int) -> Box:
    """The product's box in native px, kept on a 1/64 px grid."""
    box = cover(fmt.native(unit_px), fmt.canvas).to_native(place(placement, product, fmt.canvas))
    return Box(*(round(v * _GRID) / _GRID for v in (box.x, box.y, box.width, box.height)))
