"""Pictures to bytes and back."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from adloom.errors import InvalidInputError
from adloom.finishing_spec import ImageFormat

_OPTIONS: dict[ImageFormat, dict[str, object]] = {
    ImageFormat.WEBP: {"method": 2},
    ImageFormat.JPEG: {"subsampling": 0, "optimize": True},
    ImageFormat.PNG: {"compress_level": 4},
}


def encode(image: NDArray[np.uint8], format: ImageFormat, quality: int = 90) -> bytes:
    """(H, W), (H, W, 3) or (H, W, 4) -> the bytes of a file; the same input, the same bytes.

    `quality` 1..100 counts for WebP and JPEG (at 100 WebP is lossless); PNG is always lossless.
    Raises ValueError for another shape, and for alpha in a JPEG, which has none.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise ValueError(f"cannot encode {image.dtype} of shape {image.shape}: give uint8 pictures")
    if channels == 4 and format is ImageFormat.JPEG:
        raise ValueError("a JPEG has no alpha: lay the picture on a background or choose WebP")
    options = dict(_OPTIONS[format])
    if format is ImageFormat.WEBP:
        options["lossless"] = quality >= 100
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(
        file, format=format.value, quality=quality, **options
    )
    return file.getvalue()


def decode(content: bytes) -> NDArray[np.uint8]:
    """The bytes of a file -> (H, W, 3), or (H, W, 4) where it has alpha, or (H, W) if grey.

    For pictures that adloom wrote itself. Raises InvalidInputError where they are damaged.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            if image.mode not in ("L", "RGB", "RGBA"):
                image = image.convert("RGBA" if image.has_transparency_data else "RGB")
            return np.asarray(image).copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InvalidInputError(
            f"{len(content)} bytes that are not a whole picture",
            hint="fetch the object again; if it is damaged, render it again",
        ) from error
