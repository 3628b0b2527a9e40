"""A picture file -> pixels."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from adloom.errors import PhotoError

MAX_PIXELS = 80_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")


def decode(data: bytes, shorter_px: int) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB, upright, on white if it was transparent; the shorter side is brought down to
    `shorter_px` if it is longer. Raises PhotoError, which says what is wrong with the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PhotoError(f"{image.width}×{image.height} px are too many")
                return _pixels(image, shorter_px)
    except UnidentifiedImageError as error:
        raise PhotoError("the file is no picture of a known kind") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"the picture is damaged: {error}") from error
    except Image.DecompressionBombWarning as error:
        raise PhotoError("the picture has too many pixels") from error


def _pixels(image: Image.Image, shorter_px: int) -> NDArray[np.uint8]:
    scale = shorter_px / min(image.size)
    if scale < 1 and image.format == "JPEG":
        image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        upright = Image.alpha_composite(paper, rgba)
    rgb = upright.convert("RGB")
    scale = shorter_px / min(rgb.size)
    if scale < 1:
        size = max(round(rgb.width * scale), 1), max(round(rgb.height * scale), 1)
        rgb = rgb.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(rgb)
