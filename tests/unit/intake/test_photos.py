import hashlib
import io
import os
import pickle
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from adloom.errors import AddressRefusedError, PhotoError
from catalog_connectors.photos import (
    FetchedPhoto,
    PhotoLimits,
    PhotoReason,
    PhotoRefusedError,
    fetch_photo,
)
from tests.unit.intake.conftest import Page, Site, encoded

LIMITS = PhotoLimits(max_bytes=1 << 20, max_pixels=1_000_000, min_side_px=64, timeout_s=5)


def fetch(location: str | Path, limits: PhotoLimits = LIMITS) -> FetchedPhoto:
    fetched = fetch_photo(str(location), limits=limits, allow_private=True)
    assert fetched is not None
    return fetched


def stored(folder: Path, data: bytes, name: str = "photo") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def pixels(fetched: FetchedPhoto) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(fetched.content)))


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its data do not have."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_upright_srgb_photo_is_kept_byte_for_byte(
    tmp_path: Path, picture: Image.Image, kind: str
) -> None:
    data = encoded(picture, kind)
    fetched = fetch(stored(tmp_path, data))
    assert fetched.content == data
    assert fetched.photo.sha256 == hashlib.sha256(data).hexdigest()
    assert (fetched.photo.width, fetched.photo.height) == (96, 80)
    assert fetched.photo.media_type == f"image/{kind.lower()}"
    assert fetched.photo.bytes == len(data)
    assert not fetched.has_alpha


def test_exif_rotation_is_applied_and_metadata_stripped(
    tmp_path: Path, picture: Image.Image
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret place"  # turned by a quarter
    fetched = fetch(stored(tmp_path, encoded(picture, "JPEG", exif=exif, quality=95)))
    assert (fetched.photo.width, fetched.photo.height) == (80, 96)
    assert fetched.photo.media_type == "image/png"
    assert b"secret place" not in fetched.content
    array = pixels(fetched).astype(int)
    assert array[10, 40, 0] > 180 > array[80, 40, 0]  # red half on top
    assert array[80, 40, 2] > 150


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_rows": 1}),
        ("PNG", {}),
    ],
)
@pytest.mark.parametrize("tail", [b"RIFF....", b"\xff\xd9", b"\0\0\0\0IEND\xaeB`\x82"])
def test_what_stands_behind_a_photos_end_is_not_stored(
    tmp_path: Path, picture: Image.Image, kind: str, options: dict[str, Any], tail: bytes
) -> None:
    data = encoded(picture, kind, **options)
    assert fetch(stored(tmp_path, data)).content == data
    assert fetch(stored(tmp_path, data + b"\r\n\0")).content == data + b"\r\n\0"
    fetched = fetch(stored(tmp_path, data + b"hidden" + tail))
    assert b"hidden" not in fetched.content
    assert (pixels(fetched) == np.asarray(Image.open(io.BytesIO(data)))).all()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("CMYK", "JPEG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGB", "WEBP"),
        ("RGB", "BMP"),
        ("RGB", "TIFF"),
    ],
)
def test_other_modes_and_types_become_rgb(
    tmp_path: Path, picture: Image.Image, mode: str, kind: str
) -> None:
    fetched = fetch(stored(tmp_path, encoded(picture.convert(mode), kind)))
    array = pixels(fetched)
    assert fetched.photo.media_type == "image/png"
    assert array.shape == (80, 96, 3)
    assert np.abs(array[40, 10].astype(int) - (220, 20, 30)).max() < 60
    assert np.abs(array[40, 90].astype(int) - (20, 40, 200)).max() < 60


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (80, 1))
    array = pixels(fetch(stored(tmp_path, encoded(Image.fromarray(ramp), "PNG"))))
    assert array.shape == (80, 96, 3)
    assert np.abs(array[0, :, 0].astype(int) - np.linspace(0, 255, 96)).max() <= 2


def test_real_alpha_is_kept_and_empty_alpha_dropped(tmp_path: Path, picture: Image.Image) -> None:
    opaque = picture.copy()
    opaque.putalpha(255)
    dropped = fetch(stored(tmp_path, encoded(opaque, "PNG")))
    assert not dropped.has_alpha
    assert pixels(dropped).shape == (80, 96, 3)
    cut = picture.copy()
    cut.putalpha(Image.fromarray(np.tile(np.repeat([0, 255], 48).astype(np.uint8), (80, 1))))
    for data in (encoded(cut, "PNG"), encoded(cut, "WEBP", lossless=True)):
        kept = fetch(stored(tmp_path, data))
        assert kept.has_alpha
        assert pixels(kept)[40, :, 3].tolist() == [0] * 48 + [255] * 48


def test_a_colour_profile_is_applied(tmp_path: Path, picture: Image.Image) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    kept = encoded(picture, "PNG", icc_profile=srgb.tobytes())
    assert fetch(stored(tmp_path, kept)).content == kept
    odd = fetch(stored(tmp_path, encoded(picture, "PNG", icc_profile=lab.tobytes())))
    assert odd.photo.media_type == "image/png"
    assert "icc_profile" not in Image.open(io.BytesIO(odd.content)).info


HEIC = (Path(__file__).parent / "red_and_blue.heic").read_bytes()  # ours, by libheif's heif-enc


def test_a_real_heic_photo_is_decoded(tmp_path: Path) -> None:
    fetched = fetch(stored(tmp_path, HEIC))
    assert (fetched.photo.width, fetched.photo.height) == (96, 64)
    assert fetched.photo.media_type == "image/png"
    array = pixels(fetched).astype(int)
    assert np.abs(array[30, 20] - (200, 30, 40)).max() < 6
    assert np.abs(array[30, 60] - (30, 60, 200)).max() < 6


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.97])
def test_a_heic_photo_that_breaks_off_is_refused(tmp_path: Path, kept: float) -> None:
    with pytest.raises(PhotoRefusedError) as caught:
        fetch(stored(tmp_path, HEIC[: int(kept * len(HEIC))]))
    assert caught.value.reason in (PhotoReason.TRUNCATED, PhotoReason.BROKEN)


def animated(picture: Image.Image, kind: str) -> bytes:
    return encoded(
        picture, kind, save_all=True, append_images=[picture.transpose(Image.Transpose.ROTATE_180)]
    )


BAD: list[tuple[str, PhotoReason]] = [
    ("empty", PhotoReason.EMPTY),
    ("text", PhotoReason.NOT_AN_IMAGE),
    ("html", PhotoReason.NOT_AN_IMAGE),
    ("svg", PhotoReason.WRONG_TYPE),
    ("pdf", PhotoReason.WRONG_TYPE),
    ("heic", PhotoReason.BROKEN),
    ("truncated jpeg", PhotoReason.TRUNCATED),
    ("truncated png", PhotoReason.TRUNCATED),
    ("header alone", PhotoReason.BROKEN),
    ("broken png", PhotoReason.BROKEN),
    ("bomb", PhotoReason.TOO_MANY_PIXELS),
    ("huge bomb", PhotoReason.TOO_MANY_PIXELS),
    ("tiny", PhotoReason.TOO_SMALL),
    ("too large", PhotoReason.TOO_LARGE),
    ("transparent", PhotoReason.TRANSPARENT),
]


def bad_photo(name: str, picture: Image.Image) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8))
    png, jpeg = encoded(noise, "PNG"), encoded(noise, "JPEG")
    middle = len(png) // 2
    clear = picture.copy()
    clear.putalpha(0)
    return {
        "empty": b"",
        "text": b"not a picture at all",
        "html": b"<!doctype html><title>404</title>",
        "svg": b'<?xml version="1.0"?><svg xmlns="x"/>',
        "pdf": b"%PDF-1.7 ...",
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0",
        "truncated jpeg": jpeg[: len(jpeg) // 2],
        "truncated png": png[:middle],
        "header alone": png_header(100, 100)[:33],
        "broken png": png[:middle] + bytes(99) + png[middle + 99 :],
        "bomb": png_header(2000, 2000),
        "huge bomb": png_header(60_000, 60_000),
        "tiny": encoded(picture.resize((63, 200)), "PNG"),
        "too large": encoded(picture, "PNG") + bytes(1 << 20),
        "transparent": encoded(clear, "PNG"),
    }[name]


@pytest.mark.parametrize(("name", "reason"), BAD)
def test_a_bad_photo_is_refused_with_its_reason(
    tmp_path: Path, picture: Image.Image, name: str, reason: PhotoReason
) -> None:
    path = stored(tmp_path, bad_photo(name, picture))
    with pytest.raises(PhotoError) as caught:
        fetch(path)
    error = caught.value
    assert isinstance(error, PhotoRefusedError)
    assert error.reason is reason
    assert str(path) in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, str(again)) == (reason, str(error))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for location in (tmp_path, tmp_path / "none.jpg", tmp_path / "pipe"):
        with pytest.raises(PhotoRefusedError) as caught:
            fetch(location)
        assert caught.value.reason is PhotoReason.NOT_FOUND


def test_an_unchanged_local_photo_is_not_read_again(tmp_path: Path, picture: Image.Image) -> None:
    path = stored(tmp_path, encoded(picture, "PNG"))
    known = fetch(path).validator

    def again() -> FetchedPhoto | None:
        return fetch_photo(str(path), limits=LIMITS, allow_private=False, known_validator=known)

    assert again() is None
    os.utime(path, ns=(1, 1))
    assert again() is not None


def test_an_unchanged_remote_photo_is_not_sent_again(site: Site, picture: Image.Image) -> None:
    data = encoded(picture, "PNG")
    site.pages["/a.png"] = Page(data, headers={"ETag": '"v1"'})
    fetched = fetch(site.url + "/a.png")
    assert fetched.content == data
    assert fetched.validator == 'etag:"v1"'

    def again() -> FetchedPhoto | None:
        return fetch_photo(
            site.url + "/a.png", limits=LIMITS, allow_private=True,
            known_validator=fetched.validator,
        )  # fmt: skip

    assert again() is None
    site.pages["/a.png"].headers["ETag"] = '"v2"'
    changed = again()
    assert changed is not None
    assert changed.validator == 'etag:"v2"'


def test_private_addresses_are_refused_at_every_hop(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AddressRefusedError) as caught:
        fetch_photo(site.url + "/a.png", limits=LIMITS, allow_private=False)
    assert isinstance(caught.value, PhotoRefusedError)
    assert caught.value.reason is PhotoReason.ADDRESS_REFUSED
    assert site.requests == []

    # The first hop passes as public, the redirect's target does not.
    monkeypatch.setattr(
        "catalog_connectors.addresses.is_public", lambda address: address == "127.0.0.1"
    )
    site.pages["/hop"] = Page(status=302, headers={"Location": "http://169.254.169.254/latest"})
    with pytest.raises(AddressRefusedError, match=r"169\.254\.169\.254"):
        fetch_photo(site.url + "/hop", limits=LIMITS, allow_private=False)
    assert [path for path, _ in site.requests] == ["/hop"]


def test_remote_faults_have_reasons(site: Site, picture: Image.Image) -> None:
    data = encoded(picture, "PNG")
    site.pages |= {
        "/short": Page(data, declared=len(data) + 9),
        "/forbidden": Page(status=403),
        "/down": Page(status=502),
        "/long": Page(data, declared=1 << 30),
        "/slow": Page(data * 20, pause_s=0.05),
        "/once": Page(data, fail_first=2),
    }
    limits = replace(LIMITS, timeout_s=0.2)
    for path, reason, retryable in (
        ("/short", PhotoReason.TRUNCATED, True),
        ("/forbidden", PhotoReason.HTTP_STATUS, False),
        ("/down", PhotoReason.UNREACHABLE, True),
        ("/long", PhotoReason.TOO_LARGE, False),
        ("/none", PhotoReason.NOT_FOUND, False),
        ("/slow", PhotoReason.TOO_SLOW, True),
    ):
        with pytest.raises(PhotoRefusedError) as caught:
            fetch(site.url + path, limits if path == "/slow" else LIMITS)
        assert (caught.value.reason, caught.value.retryable) == (reason, retryable), path
    assert fetch(site.url + "/once").content == data
    with pytest.raises(PhotoRefusedError) as caught:
        fetch("http://127.0.0.1:1/a.png")
    assert caught.value.reason is PhotoReason.UNREACHABLE
