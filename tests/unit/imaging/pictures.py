"""Drawn products and renders for the tests: nothing is read from disk."""

from dataclasses import dataclass

import cv2
import numpy as np

from adloom.geometry import Box, Size
from adloom.imaging.arrays import Mask, Rgb
from adloom.imaging.warp import on_colour, placed_photo


@dataclass(frozen=True, slots=True)
class DrawnCutout:
    photo: Rgb
    mask: Mask
    bbox: Box


def drawn_cutout(seed: int = 0, width: int = 150, height: int = 220) -> DrawnCutout:
    """A striped, rounded product on white, antialiased as a camera would: its rim is mixed."""
    rng = np.random.default_rng(seed)
    big = np.zeros((4 * (height + 60), 4 * (width + 60)), np.uint8)
    x0, y0, x1, y1 = (4 * v for v in (30, 30, 30 + width, 30 + height))
    cv2.rectangle(big, (x0 + 80, y0), (x1 - 81, y1 - 1), 255, -1)
    cv2.rectangle(big, (x0, y0 + 80), (x1 - 1, y1 - 81), 255, -1)
    for x, y in ((x0 + 80, y0 + 80), (x1 - 81, y0 + 80), (x0 + 80, y1 - 81), (x1 - 81, y1 - 81)):
        cv2.circle(big, (x, y), 80, 255, -1)
    mask = cv2.resize(big, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    body, band = rng.integers(30, 200, (2, 3))
    colours = np.empty((*mask.shape, 3), np.uint8)
    colours[:] = body
    for top in range(50, mask.shape[0], 40):
        colours[top : top + 14] = band
    photo = on_colour(colours, mask.astype(np.float32) / 255, 255)
    return DrawnCutout(photo, mask, bounding_box(mask))


def bounding_box(mask: Mask) -> Box:
    rows, columns = np.nonzero((mask >= 128).any(1))[0], np.nonzero((mask >= 128).any(0))[0]
    return Box(
        float(columns[0]),
        float(rows[0]),
        float(columns[-1] + 1 - columns[0]),
        float(rows[-1] + 1 - rows[0]),
    )


def box_of(cutout: DrawnCutout, x: float, y: float, height: float) -> Box:
    return Box(x, y, height * cutout.bbox.width / cutout.bbox.height, height)


def rendered(
    cutout: DrawnCutout,
    box: Box,
    size: Size,
    *,
    background: tuple[int, int, int] = (70, 90, 110),
    light: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> tuple[Rgb, Mask]:
    """A raw render of the cutout at `box` under a coloured light, and its own product mask."""
    colours, alpha = placed_photo(cutout.photo, cutout.mask, cutout.bbox, box, size)
    lit = np.clip(colours * np.array(light, np.float32), 0, 255).astype(np.uint8)
    under = np.empty((size.height, size.width, 3), np.uint8)
    under[:] = background
    return on_colour(lit, alpha, under), np.rint(alpha * 255).astype(np.uint8)
