import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adloom.errors import MaskError
from adloom.geometry import CANONICAL_FILL, Box, Size
from adloom.imaging.canonical import canonical_picture
from adloom.imaging.edges import decontaminated
from adloom.imaging.warp import on_colour, placed_mask, placed_photo
from tests.unit.imaging.pictures import bounding_box, box_of, drawn_cutout

CUTOUT = drawn_cutout()


@settings(max_examples=30, deadline=None)
@given(x=st.floats(5, 60), y=st.floats(5, 60), height=st.floats(12, 400))
def test_a_placed_mask_has_the_area_and_centre_of_its_box_to_a_fraction_of_a_pixel(
    x: float, y: float, height: float
) -> None:
    box = box_of(CUTOUT, x, y, height)
    placed = placed_mask(CUTOUT.mask, CUTOUT.bbox, box, Size(400, 480)) / 255.0
    share = (CUTOUT.mask / 255.0).sum() / (CUTOUT.bbox.width * CUTOUT.bbox.height)
    assert placed.sum() == pytest.approx(share * box.width * box.height, rel=0.02)
    original, b = centroid(CUTOUT.mask), CUTOUT.bbox
    expected = (
        box.x + (original[0] - b.x) * box.width / b.width,
        box.y + (original[1] - b.y) * box.height / b.height,
    )
    assert centroid(placed) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("height", [20.0, 77.7, 430.0])
def test_mask_and_photo_are_placed_alike(height: float) -> None:
    box = box_of(CUTOUT, 20.3, 11.6, height)
    size = Size(340, 460)
    placed = placed_mask(CUTOUT.mask, CUTOUT.bbox, box, size) / 255.0
    _, alpha = placed_photo(CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, box, size)
    assert np.abs(placed - alpha).mean() < 0.01
    assert np.mean((placed > 0.8) != (alpha > 0.8)) < 5e-3


def test_a_box_beyond_the_canvas_is_cut_off_at_its_edge() -> None:
    size = Size(100, 100)
    whole = placed_mask(CUTOUT.mask, CUTOUT.bbox, box_of(CUTOUT, 30, 20, 60), size)
    moved = placed_mask(CUTOUT.mask, CUTOUT.bbox, box_of(CUTOUT, -20, 20, 60), size)
    assert np.array_equal(whole[:, 50:], moved[:, :50])
    away = placed_mask(CUTOUT.mask, CUTOUT.bbox, box_of(CUTOUT, 300, 20, 60), size)
    assert not away.any()


@pytest.mark.parametrize("height", [30.0, 90.0, 300.0])
def test_no_rim_of_the_photos_white_is_left_on_a_dark_background(height: float) -> None:
    box = box_of(CUTOUT, 10.4, 12.7, height)
    colours, alpha = placed_photo(CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, box, Size(240, 330))
    brightest = CUTOUT.photo[CUTOUT.mask == 255].max()
    assert brightest < 205  # the product itself holds nothing bright
    stripes = 16  # Lanczos overshoots between them
    assert on_colour(colours, alpha, 0).max() <= brightest + stripes


def test_a_rim_that_is_the_products_own_colour_stays() -> None:
    photo = CUTOUT.photo.copy()
    photo[CUTOUT.mask < 255] = CUTOUT.photo[CUTOUT.mask == 255].min(0)
    clean = decontaminated(photo, CUTOUT.mask, 2)
    inside = CUTOUT.mask == 255
    assert np.abs(clean[inside].astype(int) - photo[inside]).mean() < 3


@pytest.mark.parametrize("size", [64, 128, 256])
def test_the_canonical_picture_shows_the_product_centred_at_its_share_of_a_white_square(
    size: int,
) -> None:
    picture = canonical_picture(CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, size)
    assert picture.shape == (size, size, 3)
    assert (picture[0] == 255).all()
    product = (picture.astype(int) < 235).any(2).astype(np.uint8) * 255
    box = bounding_box(product)
    assert box.height == pytest.approx(CANONICAL_FILL * size, abs=2)
    assert box.center == pytest.approx((size / 2, size / 2), abs=1)


def test_a_canonical_picture_does_not_depend_on_where_the_product_lies_in_its_photo() -> None:
    photo = np.pad(CUTOUT.photo, ((0, 0), (100, 0), (0, 0)), constant_values=255)
    mask = np.pad(CUTOUT.mask, ((0, 0), (100, 0)))
    b = CUTOUT.bbox
    moved = canonical_picture(photo, mask, Box(b.x + 100, b.y, b.width, b.height), 128)
    assert np.array_equal(moved, canonical_picture(CUTOUT.photo, CUTOUT.mask, b, 128))


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match="do not belong together"):
        canonical_picture(CUTOUT.photo, CUTOUT.mask[1:], CUTOUT.bbox, 64)


def test_a_box_outside_the_photo_is_refused() -> None:
    with pytest.raises(MaskError, match="not inside"):
        placed_mask(CUTOUT.mask, Box(0, 0, 5000, 10), Box(0, 0, 5, 5), Size(10, 10))


def centroid(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]] + 0.5
    mass = mask.astype(np.float64)
    return (mass * columns).sum() / mass.sum(), (mass * rows).sum() / mass.sum()
