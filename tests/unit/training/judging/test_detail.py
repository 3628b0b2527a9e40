"""The measure of what is fine in a scene: what it sees, and what it must not."""

import cv2
import numpy as np
import pytest

from training.judging.detail import RIM_PX, scene_detail

MASK = np.zeros((96, 96), np.uint8)
MASK[30:70, 35:60] = 255


def noise(deviation: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grey = np.clip(128 + rng.normal(0, deviation, (96, 96, 1)), 0, 255)
    return np.rint(grey).astype(np.uint8).repeat(3, axis=2)


def test_half_the_contrast_is_an_octave_less_and_another_picture_of_the_same_texture_none() -> None:
    assert scene_detail(noise(12, 1), noise(24, 2), MASK) == pytest.approx(-1, abs=0.05)
    assert scene_detail(noise(24, 1), noise(24, 2), MASK) == pytest.approx(0, abs=0.05)


def test_a_blurred_scene_has_lost_detail_and_a_slope_is_none() -> None:
    true = noise(24)
    assert scene_detail(cv2.GaussianBlur(true, (0, 0), 1.5), true, MASK) < -2
    slope = np.linspace(0, 40, 96).astype(np.float32)[None, :, None]
    shaded = np.rint(np.clip(true * np.float32(0.8) + slope, 0, 255)).astype(np.uint8)
    assert scene_detail(shaded, true, MASK) == pytest.approx(np.log2(0.8), abs=0.06)


def test_the_product_and_its_rim_are_not_looked_at() -> None:
    true, changed = noise(24), noise(24)
    grown = cv2.dilate(MASK, np.ones((2 * RIM_PX - 3, 2 * RIM_PX - 3), np.uint8)) > 0
    changed[grown] = np.random.default_rng(5).integers(0, 256, (int(grown.sum()), 3))
    assert scene_detail(changed, true, MASK) == pytest.approx(0, abs=0.03)


def test_of_plain_walls_nothing_is_said_and_without_a_scene_there_is_no_figure() -> None:
    plain = np.full((96, 96, 3), 200, np.uint8)
    assert scene_detail(plain, plain - 20, MASK) == pytest.approx(0, abs=1e-3)
    assert np.isnan(scene_detail(plain, plain, np.full((96, 96), 255, np.uint8)))


def test_pictures_of_several_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="several sizes"):
        scene_detail(noise(5), noise(5)[:50], MASK)
