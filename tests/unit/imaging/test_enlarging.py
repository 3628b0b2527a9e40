"""What draws a render larger before it is brought to the canvas, and what of that is kept."""

import cv2
import numpy as np
import pytest

from adloom.errors import RenderError
from adloom.finishing_spec import FinishingSpec
from adloom.geometry import CoverMap, Size
from adloom.imaging.arrays import Rgb
from adloom.imaging.background import upscaled
from adloom.imaging.enlarging import as_it_is, detailed
from adloom.imaging.finishing import finish
from tests.unit.imaging.pictures import box_of, drawn_cutout, rendered

CUTOUT = drawn_cutout(3)
NATIVE = Size(64, 64)
BOX = box_of(CUTOUT, 21.3, 14.6, 38)
RNG = np.random.default_rng(2)


def finished(enlarge=as_it_is, side: int = 240, lock: bool = True) -> Rgb:
    raw, own = rendered(CUTOUT, BOX, NATIVE)
    spec = FinishingSpec(side, side, detail_lock=lock)
    args = (CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, spec)
    return finish(raw, own, *args, enlarge).image


def smooth(picture: Rgb, factor: int = 3) -> Rgb:
    large = None, factor, factor
    return np.asarray(cv2.resize(picture, large[0], fx=large[1], fy=large[2]), np.uint8)


@pytest.mark.parametrize("lock", [True, False])
def test_an_enlarged_picture_takes_the_same_place_on_the_canvas(lock: bool) -> None:
    apart = finished(smooth, lock=lock).astype(float) - finished(lock=lock)
    assert 0 < np.abs(apart).mean() < 1.5
    assert abs(apart.mean()) < 0.3


def test_what_is_drawn_larger_is_what_is_delivered() -> None:
    striped = np.zeros((256, 256, 3), np.uint8)
    striped[:, ::8] = striped[:, 1::8] = 200
    image = finished(lambda _: striped, side=256, lock=False)
    assert np.abs(image.astype(int) - striped).mean() < 3  # but for a grain of a factor of 1


def test_a_canvas_no_larger_than_the_render_asks_for_no_enlargement() -> None:
    def never(_: Rgb) -> Rgb:
        raise AssertionError

    assert finished(never, side=64).shape == (64, 64, 3)
    assert finished(never, side=48).shape == (48, 48, 3)


@pytest.mark.parametrize(
    "made",
    [
        np.zeros((100, 128, 3), np.uint8),
        np.zeros((128, 128), np.uint8),
        np.zeros((128, 128, 3), np.float32),
        np.zeros((32, 32, 3), np.uint8),
    ],
)
def test_what_is_no_enlarged_render_is_refused(made: np.ndarray) -> None:
    with pytest.raises(RenderError, match="k H, k W"):
        finished(lambda _: made)


def drawn(noise: float, tint: float) -> tuple[Rgb, Rgb, np.ndarray]:
    """A render, the same under a tint and with fine detail, and a product's mask."""
    raw, _ = rendered(CUTOUT, BOX, NATIVE)
    render = upscaled(raw, CoverMap(2, 0, 0), Size(128, 128))
    detail = noise * RNG.standard_normal((128, 128, 1))
    changed = np.clip(render + detail + tint, 0, 255).astype(np.uint8)
    mask = np.zeros((128, 128), np.uint8)
    mask[40:90, 40:90] = 255
    return render, changed, mask


def test_detail_comes_in_and_a_drift_of_colour_does_not() -> None:
    render, changed, mask = drawn(noise=10, tint=20)
    made = detailed(render, changed, mask).astype(float) - render
    apart = mask == 0
    assert abs(made[apart].mean()) < 1.5
    assert made[apart].std() > 6


def test_the_product_keeps_its_pixels() -> None:
    render, changed, mask = drawn(noise=30, tint=40)
    made = detailed(render, changed, mask)
    assert np.array_equal(made[44:86, 44:86], render[44:86, 44:86])
    assert np.array_equal(detailed(render, render, mask), render)
    everywhere = np.full_like(mask, 255)
    assert np.array_equal(detailed(render, changed, everywhere), render)
