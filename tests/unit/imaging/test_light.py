"""The light of a render over a photo: whole, and as far as a model's is trusted."""

import numpy as np
import pytest

from adloom.imaging.arrays import Plane, Rgb
from adloom.imaging.light import MODELS, WHOLE, Light, Trust, light_of

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
