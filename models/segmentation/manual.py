"""A mask that a user made."""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from adloom.errors import MaskError
from adloom.geometry import Size
from models.segmentation.measures import LEAST_AREA, area_fraction

MAX_PIXELS = 50_000_000
ASPECT_TOLERANCE = 0.01
_FORMATS = ("PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG")


def mask_from_file(data: bytes, photo: Size) -> NDArray[np.uint8]:
    """The (H, W) uint8 mask, 255 = product, in an image file for a photo of the given size.

    The mask is the file's alpha where that varies, else its brightness. A file of another size
    but the photo's aspect is scaled. Raises MaskError for no image, a wrong aspect, a mask that is
    empty or covers everything.
    """
    mask = _plane(data)
    height, width = mask.shape
    if (width, height) != (photo.width, photo.height):
        if abs(width * photo.height / (height * photo.width) - 1) > ASPECT_TOLERANCE:
            raise MaskError(
                f"the mask has {width}×{height} px, the photo {photo.width}×{photo.height}",
                hint="export the mask at the photo's size",
            )
        size = (photo.width, photo.height)
        mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    share = area_fraction(mask)
    if share < LEAST_AREA:
        raise MaskError("the mask is empty", hint="paint the product white on black")
    if share > 1 - LEAST_AREA:
        raise MaskError("the mask covers the whole photo", hint="paint the background black")
    return mask


def _plane(data: bytes) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MaskError(
                    f"the mask has {image.width}×{image.height} px, more than {MAX_PIXELS} pixels"
                )
            if image.has_transparency_data:
                alpha = np.array(image.convert("RGBA").getchannel("A"))
                if alpha.min() != alpha.max():
                    return alpha
            if image.mode.startswith("I"):
                return (np.asarray(image, np.float64) / 257).round().clip(0, 255).astype(np.uint8)
            return np.array(image.convert("RGB").convert("L"))
    except UnidentifiedImageError as error:
        raise MaskError("the mask is no image", hint="give a PNG of the photo's size") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MaskError(f"the mask cannot be read: {error}", hint="save it again") from error
