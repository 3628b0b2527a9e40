"""The light of a render over a photo: whole, and as far as a model's is trusted."""

import cv2
import numpy as np
import pytest

from adloom.imaging.arrays import Plane, Rgb, luma
from adloom.imaging.light import MODELS, MODELS_CAST, WHOLE, Light, Trust, light_of, tinted

SIDE = 64
EVERYWHERE = np.ones((SIDE, SIDE), np.float32)
PHOTO: Rgb = np.full((SIDE, SIDE, 3), 120, np.uint8)


def under(gain: Plane) -> Rgb:
    return np.rint(PHOTO * gain[..., None]).astype(np.uint8)


def light(render: Rgb, trust: Trust = WHOLE) -> Light:
    return light_of(
        render, PHOTO, EVERYWHERE, gain_min=0.3, gain_max=2.0, shift_max=8.0, trust=trust
    )


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_of_an_even_light_the_level_is_a_power(level: float) -> None:
    found = light(under(0.6 * EVERYWHERE), Trust(level, 0.3)).gain
    assert found == pytest.approx(0.62**level, abs=0.02)  # the floor draws a little towards 1


def test_of_a_slope_of_light_the_shape_is_taken_by_its_share() -> None:
    slope = np.exp(np.linspace(-0.4, 0.4, SIDE, dtype=np.float32)) * EVERYWHERE
    whole, half, none = (np.log(light(under(slope), Trust(1.0, s)).gain) for s in (1.0, 0.5, 0.0))
    assert whole.max() - whole.min() > 0.3
    assert half - half.mean() == pytest.approx((whole - whole.mean()) / 2, abs=0.01)
    assert none == pytest.approx(whole.mean(), abs=0.01)


def test_neither_trust_changes_a_render_that_is_the_photo() -> None:
    for trust in (WHOLE, MODELS):
        found = light(PHOTO, trust)
        assert found.gain == pytest.approx(1.0, abs=1e-5)
        assert found.shift == pytest.approx(0.0, abs=1e-3)


def test_what_is_not_trusted_of_a_lights_strength_is_no_colour() -> None:
    """A neutral light on a coloured product shifts no colour, however much of it is taken."""
    coloured: Rgb = np.full((SIDE, SIDE, 3), (200, 60, 40), np.uint8)
    dimmed = np.rint(coloured * 0.6).astype(np.uint8)
    found = light_of(
        dimmed, coloured, EVERYWHERE, gain_min=0.3, gain_max=2.0, shift_max=8.0, trust=MODELS
    )
    assert found.gain == pytest.approx(0.63**MODELS.level, abs=0.02)
    assert np.linalg.norm(found.shift, axis=2).max() < 2.5  # the floor's share alone


def test_bounds_hold_after_the_trust() -> None:
    assert light(under(0.1 * EVERYWHERE), Trust(1.5, 1.0)).gain.min() >= np.float32(0.3)


WARM = np.array([1.0, 0.9, 0.6], np.float32)
CHECKED: Rgb = np.where(np.indices((SIDE, SIDE)).sum(0)[..., None] // 4 % 2, 150, 30).astype(
    np.uint8
)
CHECKED = CHECKED.repeat(3, axis=2)


def cast(render: Rgb, trust: Trust = WHOLE, photo: Rgb = PHOTO) -> Plane:
    bounds = {"gain_min": 0.3, "gain_max": 2.0, "shift_max": 8.0}
    found = light_of(render, photo, EVERYWHERE, cast_trust=trust, **bounds)
    assert found.shift is None
    assert found.cast is not None
    return found.cast


def lab(colours: Plane) -> Plane:
    return np.asarray(cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_cast_is_the_lights_colour_as_far_as_it_is_trusted(level: float) -> None:
    found = cast(np.rint(PHOTO * WARM).astype(np.uint8), Trust(level, 1.0))
    ratios = found[..., 0] / found[..., 2], found[..., 1] / found[..., 2]
    assert ratios[0] == pytest.approx((1 / 0.6) ** level, rel=0.05)  # the floor's share
    assert ratios[1] == pytest.approx((0.9 / 0.6) ** level, rel=0.05)


def test_of_a_cast_that_changes_from_place_to_place_the_shape_is_taken_by_its_share() -> None:
    bluer = np.linspace(0.6, 1.0, SIDE)[None, :, None] ** np.array([0, 0, 1])
    render = np.rint(PHOTO * bluer).astype(np.uint8)
    whole, half = (np.log(cast(render, Trust(1.0, s))) for s in (1.0, 0.5))
    assert np.ptp(whole[..., 2]) > 0.2
    assert np.ptp(half[..., 2]) == pytest.approx(np.ptp(whole[..., 2]) / 2, rel=0.01)
    assert half.mean() == pytest.approx(whole.mean(), abs=0.01)


def test_a_render_that_is_the_photo_has_no_cast() -> None:
    for photo in (PHOTO, CHECKED, np.zeros_like(PHOTO)):
        assert cast(photo, MODELS_CAST, photo) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("strength", [0.6, 0.25, 0.0])
def test_a_neutral_light_has_no_cast(strength: float) -> None:
    """However dark, darker than any gain may be, and on a colour."""
    coloured: Rgb = np.full((SIDE, SIDE, 3), (200, 90, 60), np.uint8)
    dimmed = np.rint(coloured * strength).astype(np.uint8)
    found = cast(dimmed, WHOLE, coloured)
    moved = lab(tinted(coloured.astype(np.float32), found, 30.0)) - lab(coloured)
    assert np.linalg.norm(moved, axis=2).max() < 1.5  # of 8 bits, few are left of the darkest


def test_black_that_a_render_lifts_says_nothing_of_colour() -> None:
    """A level more of red in black is noise, however bright the render is."""
    black: Rgb = np.full((SIDE, SIDE, 3), (5, 3, 3), np.uint8)
    grey: Rgb = np.full((SIDE, SIDE, 3), 60, np.uint8)
    assert cast(grey, WHOLE, black) == pytest.approx(1.0, abs=0.15)


def test_a_cast_is_between_colours_of_one_luminance() -> None:
    found = cast(np.rint(PHOTO * WARM).astype(np.uint8))
    assert luma(PHOTO * found) == pytest.approx(luma(PHOTO), rel=0.01)


def test_a_saturated_colour_stays_one_under_a_cast() -> None:
    """Its strength is not changed by the channel that it is mostly of."""
    red = np.full((SIDE, SIDE, 3), (200, 20, 20), np.float32)
    warm = np.broadcast_to(np.array([1.06, 1.01, 0.85], np.float32), red.shape)
    assert tinted(red, warm, 8.0)[0, 0] == pytest.approx((201, 18, 15), abs=3)


def test_a_cast_tints_white_and_leaves_black_black() -> None:
    """What one shift of a and b for all does not."""
    found = cast(np.rint(CHECKED * WARM).astype(np.uint8), WHOLE, CHECKED)
    photo = np.where(CHECKED > 100, 230, 2).astype(np.float32)
    moved = np.linalg.norm((lab(tinted(photo, found, 30.0)) - lab(photo))[..., 1:], axis=2)
    assert moved[CHECKED[..., 0] > 100].min() > 15
    assert moved[CHECKED[..., 0] < 100].max() < 1


@pytest.mark.parametrize("shift_max", [0.0, 4.0, 8.0])
def test_no_pixel_is_moved_further_than_it_may_and_each_keeps_its_lightness(
    shift_max: float,
) -> None:
    colours = np.random.default_rng(3).uniform(30, 200, (SIDE, SIDE, 3)).astype(np.float32)
    strong = np.exp(np.random.default_rng(4).normal(0, 0.3, (SIDE, SIDE, 3))).astype(np.float32)
    moved = lab(tinted(colours, strong, shift_max)) - lab(colours)
    # What leaves sRGB is clipped, and OpenCV's Lab comes of a table.
    assert np.percentile(np.linalg.norm(moved[..., 1:], axis=2), 98) <= shift_max + 0.4
    assert np.percentile(np.abs(moved[..., 0]), 98) < 0.4
