"""Reference pictures: the product alone on white, on a square of its own or where it stands."""

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


def aligned_picture(photo: Rgb, mask: Mask, bbox: Box, box: Box, native: Size) -> Rgb:
    """(H, W, 3) the product on white where it stands on the native canvas: in `box`.

    What a model of the `aligned` frame sees; it depends on the placement and the format, too.
    Raises MaskError where photo, mask and bounding box do not belong together.
    """
    colours, alpha = placed_photo(photo, mask, bbox, box, native)
    return on_colour(colours, alpha, WHITE)
