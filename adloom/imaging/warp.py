"""A photo's product moved onto its box on a canvas: float coordinates, antialiased both ways."""

from math import ceil, floor

import cv2
import numpy as np
from PIL import Image

from adloom.geometry import Box, Size
from adloom.imaging.arrays import Mask, Plane, Rgb, as_alpha, check_bbox, check_cutout
from adloom.imaging.edges import decontaminated

_SOFT_PX = 8  # a mask's soft edge reaches this far beyond its bounding box, in photo px
_RIM_SHARE = 0.003  # the rim that the background may have stained, as a share of the product


def placed_mask(mask: Mask, bbox: Box, box: Box, size: Size) -> Mask:
    """(H, W) the mask's `bbox` mapped onto `box` of a canvas of `size`, 255 = product.

    Raises MaskError where the bounding box does not lie in the mask.
    """
    check_bbox(mask, bbox)
    canvas = np.zeros((size.height, size.width), np.uint8)
    source, bbox = _cut(mask, bbox)
    drawn = _drawn(source, bbox, box, size, Image.Resampling.BICUBIC)
    if drawn is not None:
        pixels, x, y = drawn
        canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
    return canvas


def placed_photo(photo: Rgb, mask: Mask, bbox: Box, box: Box, size: Size) -> tuple[Rgb, Plane]:
    """(H, W, 3) the product's colours (not multiplied by alpha) and (H, W) its alpha in 0..1.

    The photo's `bbox` is mapped onto `box` of a canvas of `size`; the edge carries the product's
    own colour, so it leaves no rim on any background. Raises MaskError where photo, mask and
    bounding box do not belong together.
    """
    check_cutout(photo, mask, bbox)
    part, inside = _cut(photo, bbox)
    rgba, bbox = cv2.merge([*cv2.split(part), _cut(mask, bbox)[0]]), inside
    rgba, bbox = _shrunk(rgba, bbox, 2 * max(box.width / bbox.width, box.height / bbox.height))
    rim = max(1, round(_RIM_SHARE * max(bbox.width, bbox.height)))
    opacity = np.ascontiguousarray(rgba[..., 3])
    reach = ceil(3 * max(1.0, bbox.width / box.width, bbox.height / box.height)) + 1
    clean = decontaminated(np.ascontiguousarray(rgba[..., :3]), opacity, rim, reach)
    colours = np.zeros((size.height, size.width, 3), np.uint8)
    alpha = np.zeros((size.height, size.width), np.float32)
    # Not multiplied by alpha: Lanczos would overshoot at the edge and draw a bright rim.
    drawn = _drawn(clean, bbox, box, size, Image.Resampling.LANCZOS)
    covered = _drawn(opacity, bbox, box, size, Image.Resampling.BICUBIC)
    if drawn is not None and covered is not None:
        pixels, x, y = drawn
        area = np.s_[y : y + pixels.shape[0], x : x + pixels.shape[1]]
        colours[area] = pixels
        alpha[area] = as_alpha(covered[0])
    return colours, alpha


def on_colour(colours: Rgb, alpha: Plane, background: Rgb | int) -> Rgb:
    """The product laid over a picture or a grey value."""
    under = np.asarray(background, np.float32)
    mixed = under + (colours.astype(np.float32) - under) * alpha[..., None]
    return np.rint(mixed).astype(np.uint8)


def _cut(picture: np.ndarray, bbox: Box) -> tuple[np.ndarray, Box]:
    """The picture around the bounding box, soft edge included, and the box in it."""
    left, top = max(0, floor(bbox.x) - _SOFT_PX), max(0, floor(bbox.y) - _SOFT_PX)
    right, bottom = ceil(bbox.right) + _SOFT_PX, ceil(bbox.bottom) + _SOFT_PX
    return picture[top:bottom, left:right], Box(
        bbox.x - left, bbox.y - top, bbox.width, bbox.height
    )


def _shrunk(rgba: np.ndarray, bbox: Box, scale: float) -> tuple[np.ndarray, Box]:
    """A photo much larger than its place is shrunk first, by a whole factor, which is cheap."""
    factor = floor(1 / scale)
    if factor < 2:
        return rgba.copy(), bbox
    height, width = (ceil(n / factor) * factor for n in rgba.shape[:2])
    padded = cv2.copyMakeBorder(
        rgba, 0, height - rgba.shape[0], 0, width - rgba.shape[1], cv2.BORDER_REPLICATE
    )
    small = cv2.resize(padded, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return small, Box(*(v / factor for v in (bbox.x, bbox.y, bbox.width, bbox.height)))


def _drawn(
    source: np.ndarray, bbox: Box, box: Box, size: Size, filter_: Image.Resampling
) -> tuple[np.ndarray, int, int] | None:
    """The part of the canvas that `source` reaches, with its left and top; None if none."""
    sx, sy = bbox.width / box.width, bbox.height / box.height
    height, width = source.shape[:2]
    x0 = max(0, floor(box.x - bbox.x / sx) - 1)
    y0 = max(0, floor(box.y - bbox.y / sy) - 1)
    x1 = min(size.width, ceil(box.x + (width - bbox.x) / sx) + 1)
    y1 = min(size.height, ceil(box.y + (height - bbox.y) / sy) + 1)
    if x1 <= x0 or y1 <= y0:
        return None
    # Nothing lies beyond the cut: the source is widened by emptiness, as far as a filter reads.
    pad_x, pad_y = ceil(4 * max(1.0, sx)) + 2, ceil(4 * max(1.0, sy)) + 2
    padded = cv2.copyMakeBorder(source, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT, value=0)
    window = (
        bbox.x + (x0 - box.x) * sx + pad_x,
        bbox.y + (y0 - box.y) * sy + pad_y,
        bbox.x + (x1 - box.x) * sx + pad_x,
        bbox.y + (y1 - box.y) * sy + pad_y,
    )
    resized = Image.fromarray(padded).resize((x1 - x0, y1 - y0), filter_, box=window)
    return np.asarray(resized), x0, y0
