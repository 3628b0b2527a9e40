"""Bad and odd photos as feeds deliver them, each made here, with what must come of it.

`BAD` maps a name to bytes and the reason that must be given; `ODD` to bytes that are a picture all
the same, and its size.
"""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pi_heif  # noqa: F401 (registers HEIF)
from PIL import Image, ImageCms

from catalog_connectors.photo_errors import PhotoReason as R

Size = tuple[int, int]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(width: int = 96, height: int = 80, mode: str = "RGB") -> Image.Image:
    array = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    array[:, : width // 2] //= 3
    return Image.fromarray(array).convert(mode)


def chunk(name: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + crc


def png(width: int, height: int, *, data: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of which the header may promise what the data do not hold."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def gif_bomb(width: int, height: int) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + bytes(6)
        + b","
        + bytes(4)
        + struct.pack("<HHBBB", width, height, 0, 8, 0)
        + b";"
    )


def bmp(width: int, height: int, bits: int = 24) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def tiff(*tags: tuple[int, int, int, int], next_at: int = 0) -> bytes:
    entries = b"".join(struct.pack("<HHII", *t) for t in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", next_at)


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose frame header is rewritten."""
    data = bytearray(encoded(picture(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def frames(kind: str, **more: object) -> bytes:
    other = [picture().transpose(Image.Transpose.ROTATE_180)]
    return encoded(picture(), kind, save_all=True, append_images=other, **more)


def cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


def scratched(data: bytes, share: float = 0.5, length: int = 64) -> bytes:
    at = int(len(data) * share)
    return data[:at] + bytes(length) + data[at + length :]


def clear() -> Image.Image:
    image = picture()
    image.putalpha(0)
    return image


JPEG, PNG = encoded(picture(), "JPEG"), encoded(picture(), "PNG")
WEBP, GIF = encoded(picture(), "WEBP"), encoded(picture(), "GIF")
TIFF, BMP, AVIF = encoded(picture(), "TIFF"), encoded(picture(), "BMP"), encoded(picture(), "AVIF")
_ZIP = b"PK\x03\x04" + bytes(26)

BAD: dict[str, tuple[bytes, R]] = {
    "nothing": (b"", R.EMPTY),
    "one byte": (b"\xff", R.NOT_AN_IMAGE),
    "zeros": (bytes(4096), R.NOT_AN_IMAGE),
    "text": (b"not a picture at all", R.NOT_AN_IMAGE),
    "json": (b'{"error":"no such photo"}', R.NOT_AN_IMAGE),
    "a page that says 404": (b"<!doctype html><title>404</title>", R.NOT_AN_IMAGE),
    "base64": (b"data:image/png;base64,iVBORw0KGgo=", R.NOT_AN_IMAGE),
    "svg": (b'<?xml version="1.0"?><svg xmlns="x"/>', R.WRONG_TYPE),
    "pdf": (b"%PDF-1.7 ...", R.WRONG_TYPE),
    "a pdf with a jpeg in it": (b"%PDF-1.7\n" + JPEG, R.WRONG_TYPE),
    "photoshop": (b"8BPS\0\1" + bytes(40), R.WRONG_TYPE),
    "mp4": (b"\0\0\0\x18ftypisom" + bytes(40), R.WRONG_TYPE),
    "ico": (b"\0\0\1\0\1\0" + bytes(40), R.WRONG_TYPE),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), R.WRONG_TYPE),
    "jpeg xl": (b"\xff\x0a" + bytes(20), R.WRONG_TYPE),
    "zip": (_ZIP, R.WRONG_TYPE),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), R.WRONG_TYPE),
    "webm": (b"\x1a\x45\xdf\xa3" + bytes(20), R.WRONG_TYPE),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", R.NOT_AN_IMAGE),
    "jpeg's first bytes": (JPEG[:3], R.BROKEN),
    "jpeg's header": (JPEG[:200], R.BROKEN),
    "half a jpeg": (cut(JPEG), R.TRUNCATED),
    "a jpeg without its end": (JPEG[:-40], R.TRUNCATED),
    "half a progressive jpeg": (cut(encoded(picture(), "JPEG", progressive=True)), R.TRUNCATED),
    "jpeg of no width": (jpeg_of_size(0, 80), R.BROKEN),
    "jpeg of no height": (jpeg_of_size(96, 0), R.BROKEN),
    "jpeg bomb": (jpeg_of_size(60_000, 60_000), R.TOO_MANY_PIXELS),
    "jpeg without tables": (JPEG.replace(b"\xff\xdb", b"\xff\xfe"), R.BROKEN),
    "png's header alone": (PNG[:33], R.BROKEN),
    "half a png": (cut(PNG), R.TRUNCATED),
    "a scratched png": (scratched(PNG), R.BROKEN),
    "png of no size": (png(0, 0), R.BROKEN),
    "png without data": (png(100, 100), R.TRUNCATED),
    "png of too little data": (png(100, 100, data=zlib.compress(bytes(100))), R.TRUNCATED),
    "png of odd depth": (png(100, 100, depth=7), R.BROKEN),
    "png bomb": (png(2000, 2000), R.TOO_MANY_PIXELS),
    "huge png bomb": (png(60_000, 60_000), R.TOO_MANY_PIXELS),
    "png of more pixels than ints": (png(2**31 - 1, 2**31 - 1), R.TOO_MANY_PIXELS),
    "png with a bad checksum": (PNG[:30] + b"\0\0" + PNG[32:], R.BROKEN),
    "gif's header alone": (GIF[:13], R.BROKEN),
    "half a gif": (cut(GIF, 0.6), R.TRUNCATED),
    "gif bomb": (gif_bomb(60_000, 60_000), R.TOO_MANY_PIXELS),
    "gif without a frame": (gif_bomb(100, 100)[:19] + b";", R.BROKEN),
    "half a webp": (cut(WEBP), R.BROKEN),
    "webp's header": (WEBP[:24], R.BROKEN),
    "riff that is a sound": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), R.BROKEN),
    "half an avif": (cut(AVIF), R.BROKEN),
    "avif's brand alone": (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", R.BROKEN),
    "heic's brand alone": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", R.BROKEN),
    "half a tiff": (TIFF[: len(TIFF) // 2], R.TRUNCATED),
    "tiff's header": (b"II*\0\x08\0\0\0", R.BROKEN),
    "tiff that points at itself": (tiff((256, 4, 1, 96), (257, 4, 1, 80), next_at=8), R.BROKEN),
    "tiff of many strips": (
        tiff((256, 4, 1, 96), (257, 4, 1, 80), (273, 4, 1 << 30, 8), (279, 4, 1 << 30, 8)),
        R.BROKEN,
    ),
    "half a bmp": (cut(BMP), R.TRUNCATED),
    "bmp bomb": (bmp(50_000, 50_000), R.TOO_MANY_PIXELS),
    "bmp of no size": (bmp(0, 0), R.BROKEN),
    "bmp of odd depth": (bmp(100, 100, 7), R.BROKEN),
    "one pixel": (encoded(picture(1, 1), "PNG"), R.TOO_SMALL),
    "one pixel gif": (encoded(picture(1, 1), "GIF"), R.TOO_SMALL),
    "a line": (encoded(picture(4000, 1), "PNG"), R.TOO_SMALL),
    "a thumbnail": (encoded(picture(63, 200), "JPEG"), R.TOO_SMALL),
    "a ribbon": (encoded(picture(1000, 70), "JPEG"), R.TOO_NARROW),
    "fully transparent": (encoded(clear(), "PNG"), R.TRANSPARENT),
    "fully transparent webp": (encoded(clear(), "WEBP", lossless=True), R.TRANSPARENT),
    "too many bytes": (PNG + bytes(2 << 20), R.TOO_LARGE),
}


def _turned(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(picture(), "JPEG", exif=exif)


def _profiled(space: str, mode: str = "RGB") -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(space))
    return encoded(picture(mode=mode), "PNG", icc_profile=profile.tobytes())


def _sixteen(channels: int) -> bytes:
    values = np.tile(np.linspace(0, 65535, 96).astype(">u2")[:, None], (80, 1, channels))
    raw = b"".join(b"\0" + row.tobytes() for row in values)
    colour = {1: 0, 3: 2, 4: 6}[channels]
    return png(96, 80, data=zlib.compress(raw), depth=16, colour=colour)


def _palette_with_transparency() -> bytes:
    image = picture(mode="P")
    return encoded(image, "PNG", transparency=3)


def _float_tiff(top: float) -> bytes:
    ramp = np.tile(np.linspace(0, top, 96, dtype=np.float32), (80, 1))
    return encoded(Image.fromarray(ramp), "TIFF")


WHOLE, TURNED = (96, 80), (80, 96)
ODD: dict[str, tuple[bytes, Size]] = {
    "cmyk jpeg": (encoded(picture(mode="CMYK"), "JPEG"), WHOLE),
    "cmyk tiff": (encoded(picture(mode="CMYK"), "TIFF"), WHOLE),
    "grey jpeg": (encoded(picture(mode="L"), "JPEG"), WHOLE),
    "lab tiff": (encoded(picture(mode="LAB"), "TIFF"), WHOLE),
    "ycbcr tiff": (encoded(picture(mode="YCbCr"), "TIFF"), WHOLE),
    "float tiff to 1": (_float_tiff(1.0), WHOLE),
    "float tiff to 255": (_float_tiff(255.0), WHOLE),
    "one-bit png": (encoded(picture(mode="1"), "PNG"), WHOLE),
    "grey png with alpha": (encoded(picture(mode="LA"), "PNG"), WHOLE),
    "palette png": (encoded(picture(mode="P"), "PNG"), WHOLE),
    "palette png with transparency": (_palette_with_transparency(), WHOLE),
    "16-bit grey png": (_sixteen(1), WHOLE),
    "16-bit colour png": (_sixteen(3), WHOLE),
    "16-bit png with alpha": (_sixteen(4), WHOLE),
    "interlaced gif": (encoded(picture(), "GIF", interlace=1), WHOLE),
    "progressive jpeg": (encoded(picture(), "JPEG", progressive=True), WHOLE),
    "animated gif": (frames("GIF"), WHOLE),
    "animated webp": (frames("WEBP"), WHOLE),
    "animated png": (frames("PNG"), WHOLE),
    "animated avif": (frames("AVIF"), WHOLE),
    "tiff of two pages": (frames("TIFF"), WHOLE),
    "phone's mpo": (frames("MPO"), WHOLE),
    "avif": (AVIF, WHOLE),
    "a quarter turned": (_turned(6), TURNED),
    "mirrored and turned": (_turned(5), TURNED),
    "an orientation that there is not": (_turned(77), WHOLE),
    "xyz profile": (_profiled("XYZ"), WHOLE),
    "lab profile on rgb": (_profiled("LAB"), WHOLE),
    "a profile of noise": (encoded(picture(), "PNG", icc_profile=bytes(200)), WHOLE),
    "broken exif": (encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), WHOLE),
    "jpeg with a zip behind it": (JPEG + _ZIP, WHOLE),
    "jpeg with a page behind it": (JPEG + b"<html><script>alert(1)</script>", WHOLE),
    "jpeg with a script in it": (
        encoded(picture(), "JPEG", comment=b"<script>alert(1)</script>"),
        WHOLE,
    ),
    "png with php behind it": (PNG + b"<?php system($_GET['c']); ?>", WHOLE),
    "gif that is a script": (GIF[:-1] + b"/*<script>*/;", WHOLE),
}

FORMATS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: JPEG,
    "png": lambda: PNG,
    "webp": lambda: WEBP,
    "gif": lambda: frames("GIF"),
    "tiff": lambda: TIFF,
    "bmp": lambda: BMP,
    "avif": lambda: AVIF,
    "mpo": lambda: frames("MPO"),
    "apng": lambda: frames("PNG"),
    "cmyk": lambda: ODD["cmyk jpeg"][0],
    "exif": lambda: _turned(6),
    "icc": lambda: _profiled("XYZ"),
    "palette": _palette_with_transparency,
}
"""Small valid files of each format, to be mutated."""
