"""The canonical reference picture: the product alone on white, always at the same place."""

from adloom.geometry import CANONICAL_FILL, Box, Size
from adloom.imaging.arrays import Mask, Rgb
from adloom.imaging.warp import on_colour, placed_photo

WHITE = 255


def canonical_picture(photo: Rgb, mask: Mask, bbox: Box, size: int) -> Rgb:
    """(size, size, 3) the product on white, centred, its longer side CANONICAL_FILL of the square.

    The reference U-Net sees this picture; it depends on the cutout alone, not on a placement.
    Raises MaskError where photo, mask and bounding box do not belong together.
    """
    scale = CANONICAL_FILL * size / max(bbox.width, bbox.height)
    width, height = bbox.width * scale, bbox.height * scale
    box = Box((size - width) / 2, (size - height) / 2, width, height)
    colours, alpha = placed_photo(photo, mask, bbox, box, Size(size, size))
    return on_colour(colours, alpha, WHITE)
