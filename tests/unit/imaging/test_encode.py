import numpy as np
import pytest

from adloom.errors import InvalidInputError
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.imaging.sheets import SheetRow, contact_sheet, thumbnail

RAMP = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (32, 1))
PICTURE = np.dstack([RAMP, np.full_like(RAMP, 90), np.full_like(RAMP, 140)])


@pytest.mark.parametrize("format", ImageFormat)
def test_a_picture_survives_the_way_to_bytes_and_back(format: ImageFormat) -> None:
    content = encode(PICTURE, format, 95)
    back = decode(content)
    assert back.shape == PICTURE.shape
    assert np.abs(back.astype(int) - PICTURE).mean() < 4
    assert content == encode(PICTURE, format, 95)


@pytest.mark.parametrize("format", [ImageFormat.PNG, ImageFormat.WEBP])
def test_alpha_and_every_bit_survive_where_the_file_is_lossless(format: ImageFormat) -> None:
    rgba = np.dstack([PICTURE, np.full((32, 48), 77, np.uint8)])
    assert np.array_equal(decode(encode(rgba, format, 100)), rgba)


def test_a_mask_survives_as_png() -> None:
    assert np.array_equal(decode(encode(PICTURE[..., 0], ImageFormat.PNG)), PICTURE[..., 0])


def test_a_lower_quality_makes_a_smaller_file() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for format in (ImageFormat.WEBP, ImageFormat.JPEG):
        assert len(encode(noise, format, 50)) < 0.8 * len(encode(noise, format, 95))


def test_alpha_in_a_jpeg_is_refused() -> None:
    with pytest.raises(ValueError, match="no alpha"):
        encode(np.zeros((4, 4, 4), np.uint8), ImageFormat.JPEG)


def test_another_kind_of_array_is_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        encode(np.zeros((4, 4, 3), np.float32), ImageFormat.PNG)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("keep", [0, 10, 60])
def test_a_cut_off_file_is_an_error_of_the_input(keep: int) -> None:
    with pytest.raises(InvalidInputError, match="not a whole picture"):
        decode(encode(PICTURE, ImageFormat.PNG)[:keep])


def test_a_thumbnail_fits_and_keeps_the_aspect() -> None:
    assert thumbnail(PICTURE, 24).shape == (16, 24, 3)
    assert thumbnail(PICTURE, 400).shape == PICTURE.shape


def test_a_contact_sheet_shows_every_row_and_grows_by_lines() -> None:
    row = SheetRow("mug · kitchen · 1:1 — approved " * 5, PICTURE, PICTURE, None)
    one, five = contact_sheet([row], tile=64), contact_sheet([row] * 5, tile=64)
    assert one.shape[1] * 2 == five.shape[1]
    assert five.shape[0] > 2 * one.shape[0]
    tile = one[22 : 22 + 64, 8 : 8 + 64]
    assert (tile[32, 5:40] == [0, 90, 140]).sum() > 20  # the photo itself
    assert contact_sheet([]).std() > 0
