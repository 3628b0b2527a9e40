"""The product seen alone: the same crop of a picture and of the photo, at the same resolution.

Features of pictures are only comparable at one resolution, on one background, under one outline
(see docs/gates.md). So both views are cut by the placed mask, stand on neutral grey, and the
photo is first placed at the picture's own resolution. A scene's light is no fault of the product:
the photo's view is shown under the picture's own light, within bounds.
"""

from collections.abc import Callable
from math import ceil, floor

import cv2
import numpy as np
from PIL import Image

from adloom.geometry import Box, Size
from adloom.imaging.arrays import Mask, Plane, Rgb, as_alpha
from adloom.imaging.light import light_of, lit
from adloom.imaging.warp import on_colour, placed_photo

GREY = 128
_CONTEXT = 0.6  # of the product's longer side, on every side of its box
EXTRACTOR_PX = 320
LIGHT_GAIN = (0.6, 1.6)
LIGHT_SHIFT = 12.0
FILL = 0.9
"""Share of a view's side that the longer side of the product's box takes."""


def product_views(
    picture: Rgb, photo: Rgb, mask: Mask, bbox: Box, box: Box, side: int
) -> tuple[Rgb, Rgb]:
    """(side, side, 3) views of the product in `picture` at `box`, and of the photo's product.

    A picture that is the photo, placed, gives two equal views. Raises MaskError where photo,
    mask and bounding box do not belong together.
    """
    if max(box.width, box.height) <= FILL * side:  # the picture is the coarser: compare there
        size = Size(picture.shape[1], picture.shape[0])
        colours, alpha = placed_photo(photo, mask, bbox, box, size)
        opacity = np.rint(alpha * 255).astype(np.uint8)
        return _in_one_light(
            square_crop(on_colour(picture, alpha, GREY), box, side),
            square_crop(on_colour(colours, alpha, GREY), box, side),
            as_alpha(square_crop(opacity, box, side, beyond=0)),
        )
    scale = FILL * side / max(box.width, box.height)
    width, height = box.width * scale, box.height * scale
    inside = Box((side - width) / 2, (side - height) / 2, width, height)
    colours, alpha = placed_photo(photo, mask, bbox, inside, Size(side, side))
    view = on_colour(square_crop(picture, box, side), alpha, GREY)
    return _in_one_light(view, on_colour(colours, alpha, GREY), alpha)


def _in_one_light(view: Rgb, original: Rgb, alpha: Plane) -> tuple[Rgb, Rgb]:
    """Both views, the photo's (`original`) under the light of the picture's."""
    light = light_of(
        view,
        original,
        (alpha > 0.5).astype(np.float32),
        gain_min=LIGHT_GAIN[0],
        gain_max=LIGHT_GAIN[1],
        shift_max=LIGHT_SHIFT,
    )
    relit = np.rint(lit(original, light.gain, light.shift)).astype(np.uint8)
    return view, on_colour(relit, alpha, original)  # the grey around it stays grey


def square_crop(picture: Rgb | Mask, box: Box, side: int, *, beyond: int = GREY) -> Rgb:
    """(side, side[, 3]) the square around `box`, whose longer side takes FILL of it; the grey
    value `beyond` outside the picture."""
    reach = max(box.width, box.height) / FILL
    x, y = box.center[0] - reach / 2, box.center[1] - reach / 2
    margin = ceil(4 * max(1.0, reach / side)) + 1
    left, top = floor(x) - margin, floor(y) - margin
    right, bottom = ceil(x + reach) + margin, ceil(y + reach) + margin
    height, width = picture.shape[:2]
    part = cv2.copyMakeBorder(
        picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)],
        max(0, -top),
        max(0, bottom - max(height, top)),
        max(0, -left),
        max(0, right - max(width, left)),
        cv2.BORDER_CONSTANT,
        value=(beyond, beyond, beyond),
    )
    window = (x - left, y - top, x - left + reach, y - top + reach)
    view = Image.fromarray(part).resize((side, side), Image.Resampling.BICUBIC, box=window)
    return np.asarray(view)


def own_mask(render: Rgb, box: Box, extract: Callable[[Rgb], Mask]) -> Mask:
    """(h, w) the product that a render shows at and around `box`, as `extract` sees it.

    `extract` maps an (H, W, 3) picture to its (H, W) product mask. It is shown the product's
    neighbourhood alone, enlarged: a prop elsewhere in the scene cannot distract it, and a render
    of few pixels is nearer to the photos that it knows. The rest of the mask is empty.
    """
    height, width = render.shape[:2]
    reach = _CONTEXT * max(box.width, box.height)
    x0, x1 = max(0, floor(box.x - reach)), min(width, ceil(box.right + reach))
    y0, y1 = max(0, floor(box.y - reach)), min(height, ceil(box.bottom + reach))
    part = Image.fromarray(np.ascontiguousarray(render[y0:y1, x0:x1]))
    scale = max(1.0, EXTRACTOR_PX / max(part.size))
    large = part.resize(
        (round(part.width * scale), round(part.height * scale)), Image.Resampling.BICUBIC
    )
    found = Image.fromarray(extract(np.asarray(large)))
    whole = np.zeros((height, width), np.uint8)
    whole[y0:y1, x0:x1] = np.asarray(found.resize(part.size, Image.Resampling.BOX))
    return whole
