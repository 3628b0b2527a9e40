"""The relief that a silhouette is given."""

import numpy as np
import pytest

from adloom.errors import MaskError
from training.augment.heights import (
    ReliefModel,
    inscribed_radius,
    is_rectangular,
    silhouette_relief,
    solve_poisson,
)


def disc(side: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] + 0.5
    return np.hypot(x - side / 2, y - side / 2) <= radius


def test_on_a_disc_the_poisson_equation_has_its_analytic_solution() -> None:
    side, radius = 128, 50.0
    y, x = np.mgrid[0:side, 0:side] + 0.5
    expected = (radius**2 - (x - side / 2) ** 2 - (y - side / 2) ** 2) / 4
    solved = solve_poisson(disc(side, radius))
    well_inside = disc(side, radius - 5)
    error = np.abs(solved - expected)[well_inside] / expected.max()
    assert error.max() < 0.03


def test_a_disc_becomes_a_sphere_and_a_strip_a_cylinder() -> None:
    model = ReliefModel(roundness=1.0)
    ball = silhouette_relief(disc(128, 50).astype(np.uint8) * 255, model).height
    assert ball[64, 64 + 30] == pytest.approx(40, abs=1.5)  # 3-4-5
    y, x = np.mgrid[0:400, 0:100] + 0.5
    ends = np.clip(y, 60, 340)
    capsule = np.hypot(x - 50, y - ends) <= 30
    tube = silhouette_relief(capsule.astype(np.uint8) * 255, model)
    assert not tube.flat
    assert tube.height[200, 50 + 18] == pytest.approx(24, abs=1.5)


def test_a_box_is_flat_and_a_can_is_not() -> None:
    box = np.zeros((120, 100), np.uint8)
    box[10:110, 20:80] = 255
    relief = silhouette_relief(box, ReliefModel(box_depth=0.5))
    assert relief.flat
    assert set(np.unique(relief.height)) == {np.float32(0), relief.height.max()}
    assert relief.height.max() == pytest.approx(15, abs=0.5)
    y, x = np.mgrid[0:120, 0:100] + 0.5
    bulge = 8 * np.sqrt(np.clip(1 - ((x - 50) / 30) ** 2, 0, 1))
    can = (np.abs(x - 50) <= 30) & (y >= 20 - bulge) & (y <= 100 + bulge)
    assert not is_rectangular(can)


def test_thickness_is_capped() -> None:
    mask = disc(96, 40).astype(np.uint8) * 255
    relief = silhouette_relief(mask, ReliefModel(roundness=1.0, thickest=0.5))
    assert relief.height.max() == pytest.approx(0.5 * inscribed_radius(mask >= 128), rel=1e-5)


def test_every_pixel_inside_rises_and_none_outside() -> None:
    mask = np.zeros((300, 260), np.uint8)
    mask[30:270, 40:120] = 255
    mask[100:104, 120:240] = 255  # a thin arm
    height = silhouette_relief(mask).height
    assert (height[mask >= 128] > 0).all()
    assert (height[mask < 128] == 0).all()


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(MaskError, match="empty"):
        silhouette_relief(np.zeros((32, 32), np.uint8))
