"""Developing a packshot: what the product does not shade is white, and nothing bleeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.rendering.developing import exposed, floor_shade, smooth_light
from training.rendering.tone import encoded


def disc(size: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return (x**2 + y**2 < radius**2).astype(float)


def test_an_unshaded_floor_is_pure_white_whatever_the_colour_of_the_product() -> None:
    mask = disc(100, 20)
    relative = np.where(mask[..., None] > 0, [0.9, 0.0, 0.1], 1.0)
    assert floor_shade(relative, mask, 300).min() == 1.0


def test_a_shadow_stays_where_it_falls() -> None:
    mask = disc(100, 20)
    relative = np.ones((100, 100, 3))
    relative[:, 80:] = 0.5
    shade = floor_shade(relative, mask, 100)
    assert shade[:, :40].min() == 1.0
    assert shade[50, 95] == pytest.approx(0.55, abs=0.01)


def test_noise_in_a_shadow_is_smoothed() -> None:
    noise = np.random.default_rng(0).normal(0.6, 0.1, (120, 120, 1))
    shade = floor_shade(np.repeat(noise, 3, axis=2), np.zeros((120, 120)), 120)
    assert shade.std() < 0.03


def test_the_empty_set_keeps_its_brightness() -> None:
    empty = np.full((40, 40, 3), 1.7)
    assert smooth_light(empty, 200) == pytest.approx(1.7)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 50.0), min_size=2, max_size=2))
def test_more_light_is_never_darker_and_never_beyond_white(levels: list[float]) -> None:
    low, high = encoded(exposed(np.array(sorted(levels))))
    assert low <= high <= 255
