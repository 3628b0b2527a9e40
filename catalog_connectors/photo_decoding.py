"""Bytes that claim to be a photo -> an upright 8-bit sRGB image that decoders agree on."""

import hashlib
import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass

import pi_heif
from PIL import Image, ImageCms, UnidentifiedImageError

from adloom.cutouts import Photo
from catalog_connectors.photo_colours import is_srgb, orientation, to_srgb, upright
from catalog_connectors.photo_errors import PhotoReason, PhotoRefusedError

Image.init()
pi_heif.register_heif_opener()
# Pillow warns of large images; our own limit decides. (`catch_warnings` is not for threads.)
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of each broken tag
_FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
    if name in Image.OPEN
)
"""JPEG includes MPO; AVIF depends on how Pillow was built."""

_SEVERAL_VIEWS = ("MPO", "HEIF")
"""A phone's photo with further views behind the one that is meant: no animation."""

_DECODERS_FAULTS = (
    OSError, SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, TypeError,
    AttributeError, RuntimeError, MemoryError, struct.error, zlib.error, ImageCms.PyCMSError,
    Image.DecompressionBombError,
)  # fmt: skip
"""What decoders raise for broken data: `python -m tests.fuzz_photos` has found each of them."""

_OURS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_OURS_BOXED = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif")

_FOREIGN = (b"<script", b"<?php", b"<html", b"<!DOCTYPE", b"%PDF-", b"PK\x03\x04", b"\x7fELF")
"""A picture that holds these may be read as something else; it is stored as pixels alone."""
_QUICKLY_FOUND = {b"<!DOCTYPE": b"DOCTYPE", b"PK\x03\x04": b"K\x03\x04"}
"""Parts of them that are looked for first: a search for the whole takes four times as long."""

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""Ends a JPEG's scan: not a stuffed 0xFF, a fill byte or a restart."""

_OTHER_TYPES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"<svg", "SVG"),
    (4, b"ftypmp4", "MP4"),
    (4, b"ftypisom", "MP4"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"\x1f\x8b", "gzip"),
)


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """What a photo may cost: bytes as fetched, pixels as decoded, seconds to fetch."""

    max_bytes: int = 25 << 20
    max_pixels: int = 50_000_000
    min_side_px: int = 64
    max_aspect: float = 8.0
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """Content to be stored, what is known of it, and whether parts of it are transparent."""

    content: bytes
    photo: Photo
    has_alpha: bool
    notes: tuple[str, ...] = ()


def decode_photo(data: bytes, limits: PhotoLimits, where: str) -> DecodedPhoto:
    """A checked photo: the bytes themselves where they are an upright sRGB JPEG or PNG, else a PNG.

    Sizes are read from the header and checked before anything is decoded. EXIF rotation and ICC
    profile are applied; CMYK, palette, grey and 16-bit images become 8-bit RGB or, where some of
    the alpha is real, RGBA; of an animation the first frame is taken. Raises PhotoRefusedError.
    """
    if not data:
        raise PhotoRefusedError(PhotoReason.EMPTY, "the photo has no bytes", where=where)
    try:
        with _opened(data, where) as image:
            return _checked(image, data, limits, where)
    except _DECODERS_FAULTS as error:
        raise PhotoRefusedError(
            PhotoReason.BROKEN, f"the photo cannot be decoded: {error}", where=where
        ) from error


def _checked(image: Image.Image, data: bytes, limits: PhotoLimits, where: str) -> DecodedPhoto:
    _check_header(image, limits, where)
    notes = _notes(image)
    clean = not any(_QUICKLY_FOUND.get(s, s) in data and s in data for s in _FOREIGN)
    if clean and _is_plain_jpeg(image, data):
        size = image.size
        image.draft(None, (1, 1))  # all of the data are read, an eighth of the pixels is made
        _load(image, where)
        return _decoded(data, size, Image.MIME["JPEG"], notes)
    _load(image, where)
    converted = to_srgb(upright(image))
    if converted.mode == "RGBA" and converted.getchannel("A").getextrema() == (0, 0):
        raise PhotoRefusedError(
            PhotoReason.TRANSPARENT, "the photo is fully transparent", where=where
        )
    has_alpha = converted.mode == "RGBA"
    if clean and not notes and _is_plain_png(image, data, converted.mode):
        return _decoded(data, converted.size, Image.MIME["PNG"], notes, has_alpha)
    return _decoded(_png(converted), converted.size, Image.MIME["PNG"], notes, has_alpha)


def _notes(image: Image.Image) -> tuple[str, ...]:
    """What of the file is left out."""
    frames = _frames(image)
    return (f"ANIMATED: the first of {frames} frames or pages is the photo",) if frames > 1 else ()


def _frames(image: Image.Image) -> int:
    return 1 if image.format in _SEVERAL_VIEWS else int(getattr(image, "n_frames", 1))


def _decoded(
    content: bytes,
    size: tuple[int, int],
    media_type: str,
    notes: tuple[str, ...],
    has_alpha: bool = False,
) -> DecodedPhoto:
    digest = hashlib.sha256(content).hexdigest()
    return DecodedPhoto(content, Photo(digest, *size, len(content), media_type), has_alpha, notes)


def _png(image: Image.Image) -> bytes:
    """The same pixels give the same bytes: no metadata, a fixed compression level."""
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _opened(data: bytes, where: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise PhotoRefusedError(
            PhotoReason.TOO_MANY_PIXELS, f"the photo is far too large: {error}", where=where
        ) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data, where) from error
    except _DECODERS_FAULTS as error:
        raise PhotoRefusedError(
            PhotoReason.BROKEN, f"the photo's header is broken: {error}", where=where
        ) from error


def _unidentified(data: bytes, where: str) -> PhotoRefusedError:
    hint = "give JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF"
    if data.startswith(_OURS) or data[4:12] in _OURS_BOXED:
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
    if max(width, height) > limits.max_aspect * min(width, height):
        raise PhotoRefusedError(
            PhotoReason.TOO_NARROW,
            f"{width}×{height} px; the longer side may be {limits.max_aspect:g} times the shorter",
            where=where,
            hint="crop the photo to the product",
        )


def _load(image: Image.Image, where: str) -> None:
    try:
        image.load()
    except _DECODERS_FAULTS as error:
        cut_off = "truncated" in str(error).lower() or "unexpected end" in str(error).lower()
        reason = PhotoReason.TRUNCATED if cut_off else PhotoReason.BROKEN
        raise PhotoRefusedError(
            reason, f"the photo cannot be decoded: {error}", where=where, hint="fetch it again"
        ) from error


def _is_plain_jpeg(image: Image.Image, data: bytes) -> bool:
    """Whether a JPEG can be stored as it is: upright, sRGB, nothing behind its end."""
    return (
        image.format == "JPEG"
        and image.mode == "RGB"
        and _ends_at(data, _jpeg_end(data))
        and orientation(image) == 1
        and is_srgb(image)
    )


def _is_plain_png(image: Image.Image, data: bytes, mode: str) -> bool:
    """Whether a PNG can be stored as it is: upright, sRGB, 8 bit, all of its alpha real or none,
    nothing behind its end."""
    return (
        image.format == "PNG"
        and image.mode == mode
        and orientation(image) == 1
        and is_srgb(image)
        and data[24] == 8  # IHDR's bit depth
        and "transparency" not in image.info
        and _ends_at(data, _png_end(data))
    )


def _ends_at(data: bytes, end: int | None) -> bool:
    """Whether nothing but padding follows the end of the picture: a decoder looks no further, and
    what stands there may be any other file."""
    return end is not None and not data[end:].strip(b"\0\r\n")


def _jpeg_end(data: bytes) -> int | None:
    """Where the picture's own EOI marker ends; None if its segments do not lead to one."""
    at = 2
    while at + 1 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # they stand alone
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        if marker == 0xDA:
            found = _MARKER.search(data, at)
            if found is None:
                return None
            at = found.start()
    return None


def _png_end(data: bytes) -> int | None:
    """Where the IEND chunk ends; None if the chunks do not lead to one."""
    at = 8
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            return at
    return None
