import cv2
import numpy as np
import pytest

from adloom.geometry import Box
from adloom.imaging.measures import clipping, coverage, growth, sharpness

BOX = Box(30, 30, 40, 40)


def mask_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((128, 128), np.uint8)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = 255
    return mask


PLACED = mask_of((30, 30, 40, 40))


def test_a_product_in_its_place_has_not_grown_and_covers_its_mask() -> None:
    assert growth(PLACED, PLACED, BOX) == 0
    assert coverage(PLACED, PLACED) == 1


def test_a_pixel_of_disagreement_is_tolerated() -> None:
    assert growth(mask_of((29, 29, 42, 42)), PLACED, BOX) < 0.01


@pytest.mark.parametrize("factor", [1.3, 1.5, 1.8])
def test_growth_is_the_area_that_an_oversized_product_adds(factor: float) -> None:
    side = round(40 * factor)
    start = 50 - side // 2
    measured = growth(mask_of((start, start, side, side)), PLACED, BOX)
    assert measured == pytest.approx(factor**2 - 1, abs=0.15)


def test_a_prop_that_does_not_touch_the_product_is_not_growth() -> None:
    assert growth(mask_of((30, 30, 40, 40), (75, 40, 20, 20)), PLACED, BOX) == 0


def test_what_lies_far_from_the_product_is_not_growth_even_where_it_touches() -> None:
    long = growth(mask_of((30, 30, 98, 40)), PLACED, BOX)
    assert long == pytest.approx(20 / 40, abs=0.05)  # half a product's side, and no more


def test_a_missing_product_covers_nothing() -> None:
    assert coverage(mask_of(), PLACED) == 0
    assert coverage(mask_of((30, 30, 20, 40)), PLACED) == pytest.approx(0.5)


def test_an_empty_placed_mask_is_no_division_by_zero() -> None:
    assert growth(PLACED, mask_of(), BOX) == float("inf")
    assert growth(mask_of(), mask_of(), BOX) == 0
    assert coverage(PLACED, mask_of()) == 0


def test_sharpness_falls_with_blur_and_is_nothing_on_a_flat_picture() -> None:
    sharp = np.random.default_rng(1).integers(0, 255, (600, 600, 3), np.uint8)
    values = [sharpness(cv2.GaussianBlur(sharp, (0, 0), sigma)) for sigma in (0.5, 2.0, 6.0)]
    assert 1 > values[0] > values[1] > values[2] > 0
    assert sharpness(np.full((50, 50, 3), 80, np.uint8)) < 1e-6


def test_clipping_counts_white_and_black() -> None:
    picture = np.full((10, 10, 3), 128, np.uint8)
    picture[:2], picture[2:3] = 255, 0
    picture[5, 5] = (255, 255, 10)  # a saturated colour is not blown out
    assert clipping(picture) == pytest.approx(0.3)
