"""Bytes that claim to be a photo -> an upright 8-bit sRGB image that decoders agree on."""

import hashlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from adloom.cutouts import Photo
from catalog_connectors.photo_errors import PhotoReason, PhotoRefusedError

Image.init()
_FORMATS = tuple(
    name for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF") if name in Image.OPEN
)
"""JPEG includes MPO; AVIF depends on how Pillow was built."""

_ORIENTATION = 0x0112
_OPAQUE_FROM = 250
"""Alpha from here on everywhere is an encoder's noise, not transparency."""

_OTHER_TYPES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"<svg", "SVG"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmp4", "MP4"),
    (4, b"ftypisom", "MP4"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
)


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """What a photo may cost: bytes as fetched, pixels as decoded, seconds to fetch."""

    max_bytes: int = 25 << 20
    max_pixels: int = 50_000_000
    min_side_px: int = 64
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """Content to be stored, what is known of it, and whether parts of it are transparent."""

    content: bytes
    photo: Photo
    has_alpha: bool


def decode_photo(data: bytes, limits: PhotoLimits, where: str) -> DecodedPhoto:
    """A checked photo: the bytes themselves where they are an upright sRGB JPEG or PNG, else a PNG.

    Sizes are read from the header and checked before anything is decoded. EXIF rotation and ICC
    profile are applied; CMYK, palette, grey and 16-bit images become 8-bit RGB or, where some of
    the alpha is real, RGBA. Raises PhotoRefusedError.
    """
    if not data:
        raise PhotoRefusedError(PhotoReason.EMPTY, "the photo has no bytes", where=where)
    with _opened(data, where) as image:
        _check_header(image, limits, where)
        _load(image, where)
        upright = _upright(image)
        converted = _to_srgb(upright, _profile(image))
        has_alpha = converted.mode == "RGBA"
        if has_alpha and converted.getchannel("A").getextrema() == (0, 0):
            raise PhotoRefusedError(
                PhotoReason.TRANSPARENT, "the photo is fully transparent", where=where
            )
        if _is_plain(image, data, converted.mode):
            return _decoded(data, converted, Image.MIME["JPEG" if _jpeg(image) else "PNG"])
        return _decoded(_png(converted), converted, Image.MIME["PNG"])


def _decoded(content: bytes, image: Image.Image, media_type: str) -> DecodedPhoto:
    digest = hashlib.sha256(content).hexdigest()
    photo = Photo(digest, image.width, image.height, len(content), media_type)
    return DecodedPhoto(content, photo, image.mode == "RGBA")


def _png(image: Image.Image) -> bytes:
    """The same pixels give the same bytes: no metadata, a fixed compression level."""
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _opened(data: bytes, where: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images; our own pixel limit decides.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise PhotoRefusedError(
            PhotoReason.TOO_MANY_PIXELS, f"the photo is far too large: {error}", where=where
        ) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data, where) from error
    except (OSError, SyntaxError, ValueError, OverflowError, EOFError) as error:
        raise PhotoRefusedError(
            PhotoReason.BROKEN, f"the photo's header is broken: {error}", where=where
        ) from error


def _unidentified(data: bytes, where: str) -> PhotoRefusedError:
    hint = "give JPEG, PNG, WebP, AVIF, TIFF, BMP or a GIF without animation"
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF")):
        return PhotoRefusedError(
            PhotoReason.BROKEN, "the photo's header is broken", where=where, hint="fetch it again"
        )
    for offset, sign, name in _OTHER_TYPES:
        if data[offset:].startswith(sign) or (name == "SVG" and b"<svg" in data[:1000]):
            return PhotoRefusedError(
                PhotoReason.WRONG_TYPE, f"the photo is of type {name}", where=where, hint=hint
            )
    begin = data[:12].decode("ascii", "replace")
    return PhotoRefusedError(
        PhotoReason.NOT_AN_IMAGE, f"this is no image; it begins {begin!r}", where=where, hint=hint
    )


def _check_header(image: Image.Image, limits: PhotoLimits, where: str) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise PhotoRefusedError(
            PhotoReason.TOO_MANY_PIXELS,
            f"{width}×{height} px are more than {limits.max_pixels} pixels",
            where=where,
            hint="give a smaller photo",
        )
    if min(width, height) < limits.min_side_px:
        raise PhotoRefusedError(
            PhotoReason.TOO_SMALL,
            f"{width}×{height} px; the shorter side needs at least {limits.min_side_px} px",
            where=where,
            hint="give a larger photo",
        )
    # An MPO is a JPEG with further views behind it (phones); the first one is the photo.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise PhotoRefusedError(
            PhotoReason.ANIMATED,
            "the photo is animated or has several pages",
            where=where,
            hint="give a still image",
        )


def _load(image: Image.Image, where: str) -> None:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        cut_off = "truncated" in str(error).lower() or "unexpected end" in str(error).lower()
        reason = PhotoReason.TRUNCATED if cut_off else PhotoReason.BROKEN
        raise PhotoRefusedError(
            reason, f"the photo cannot be decoded: {error}", where=where, hint="fetch it again"
        ) from error


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image
    return ImageOps.exif_transpose(image) or image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; broken EXIF data count as upright."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, OSError):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """The embedded colour profile unless it is sRGB itself or cannot be read."""
    data = image.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        return None if "srgb" in ImageCms.getProfileDescription(profile).lower() else profile
    except (ImageCms.PyCMSError, OSError):
        return None


def _to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> Image.Image:
    """Any mode -> RGB, or RGBA where some of the alpha is real."""
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if alpha is not None and np.asarray(alpha).min() >= _OPAQUE_FROM:
        alpha = None
    rgb = _through_profile(_eight_bit(image), profile)
    if alpha is not None:
        rgb.putalpha(alpha)
    return rgb


def _through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> Image.Image:
    if profile is not None:
        source = image if image.mode in ("RGB", "CMYK", "L") else image.convert("RGB")
        try:
            converted = ImageCms.profileToProfile(
                source, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except ImageCms.PyCMSError:
            converted = None  # the profile is of another colour space than the image
        if converted is not None:
            return converted
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey -> 8-bit grey (Pillow's own conversion clips); other modes stay as they are."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda v: v * (1 / 257)).convert("L")
    return image


def _jpeg(image: Image.Image) -> bool:
    return image.format in ("JPEG", "MPO")


def _is_plain(image: Image.Image, data: bytes, mode: str) -> bool:
    """Whether the bytes can be stored as they are: upright, sRGB, 8 bit, no conversion needed."""
    profile_kept = image.info.get("icc_profile") and _profile(image) is not None
    if _orientation(image) != 1 or profile_kept or image.mode != mode:
        return False
    if image.format == "PNG":
        return data[24] == 8 and "transparency" not in image.info  # IHDR bit depth
    return _jpeg(image)
