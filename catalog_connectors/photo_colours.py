"""A decoded picture of any mode, profile and orientation -> upright 8-bit sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms, ImageOps

_ORIENTATION = 0x0112
_OPAQUE_FROM = 250
"""Alpha from here on everywhere is an encoder's noise, not transparency."""


def upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation means it."""
    if orientation(image) == 1:
        return image
    return ImageOps.exif_transpose(image) or image


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; broken EXIF data count as upright."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, OSError):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """The embedded colour profile, None if there is none that can be read."""
    data = image.info.get("icc_profile")
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(data)) if data else None
    except (ImageCms.PyCMSError, OSError):
        return None


def is_srgb(image: Image.Image) -> bool:
    """Whether the pixels are sRGB as they are: no profile embedded, or sRGB's own."""
    profile = _profile(image)
    if profile is None:
        return not image.info.get("icc_profile")
    try:
        return "srgb" in ImageCms.getProfileDescription(profile).lower()
    except ImageCms.PyCMSError:
        return False


def to_srgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB, or RGBA where some of the alpha is real."""
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if alpha is not None and np.asarray(alpha).min() >= _OPAQUE_FROM:
        alpha = None
    profile = None if is_srgb(image) else _profile(image)
    rgb = _through_profile(_eight_bit(image), profile)
    if alpha is not None:
        rgb.putalpha(alpha)
    return rgb


def _through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> Image.Image:
    if profile is None and image.mode == "LAB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    if profile is not None:
        source = image if image.mode in ("RGB", "CMYK", "L", "LAB") else image.convert("RGB")
        try:
            converted = ImageCms.profileToProfile(
                source, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except ImageCms.PyCMSError:
            converted = None  # the profile is of another colour space than the image
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit and float grey -> 8-bit grey (Pillow's own conversion clips); else as it is."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda v: v * (1 / 257)).convert("L")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image), nan=0.0, posinf=255.0, neginf=0.0)
        scaled = values * 255 if values.max() <= 1 else values
        return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
    return image
