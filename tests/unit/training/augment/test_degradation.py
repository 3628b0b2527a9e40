"""Degradations and warps: nothing when nothing is asked for, the same when drawn alike."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.augment.products import iou, striped_disc
from training.augment.degradation import NOTHING, Degradation, Shade, degraded, draw_degradation
from training.augment.warps import GRID, Warp, thin_plate, warped


def test_no_degradation_changes_no_byte() -> None:
    photo, mask = striped_disc()
    picture, cover = degraded(photo, mask, NOTHING)
    assert (picture == photo).all()
    assert (cover == mask).all()


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    photo, mask = striped_disc()
    first, again, other = (
        degraded(photo, mask, draw_degradation(np.random.default_rng(seed)))[0]
        for seed in (5, 5, 6)
    )
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("seed", range(12))
def test_every_drawn_degradation_keeps_the_product_and_the_white_ground(seed: int) -> None:
    photo, mask = striped_disc()
    how = draw_degradation(np.random.default_rng(seed))
    picture, cover = degraded(photo, mask, how)
    assert how != NOTHING
    assert picture.shape == photo.shape
    assert (picture[cover == 0] == 255).all()
    assert iou(cover, mask) > 0.85


@pytest.mark.parametrize(
    "how",
    [
        Degradation(exposure_ev=-0.5),
        Degradation(shade=Shade(0.5, 90, 0.0, 0.2)),
        Degradation(noise=8),
        Degradation(blur=0.01),
        Degradation(jpeg_quality=20),
        Degradation(temperature_k=4000),
    ],
)
def test_each_part_does_something_to_the_product(how: Degradation) -> None:
    photo, mask = striped_disc()
    picture, _ = degraded(photo, mask, how)
    assert np.abs(picture.astype(int) - photo)[mask >= 250].mean() > 0.5


def test_warm_light_is_redder_at_the_same_luminance() -> None:
    photo, mask = striped_disc()
    photo = np.where(mask[..., None] > 0, np.uint8(120), photo)
    picture, _ = degraded(photo, mask, Degradation(temperature_k=4000))
    red, green, blue = picture[48, 48].astype(int)
    assert red > 120 > blue
    linear = (np.array([red, green, blue]) / 255) ** 2.2
    assert linear @ [0.2126, 0.7152, 0.0722] == pytest.approx((120 / 255) ** 2.2, rel=0.03)


def test_exposure_is_in_stops_of_linear_light() -> None:
    photo, mask = striped_disc()
    photo = np.where(mask[..., None] > 0, np.uint8(188), photo)  # linear 0.5
    picture, _ = degraded(photo, mask, Degradation(exposure_ev=-1))
    assert abs(int(picture[48, 48, 0]) - 137) <= 1  # linear 0.25


def test_an_unmoved_thin_plate_is_the_identity() -> None:
    at = np.random.default_rng(0).uniform(-0.5, 1.5, (50, 2))
    assert np.allclose(thin_plate(GRID, GRID, at), at, atol=1e-9)


def test_a_thin_plate_goes_through_its_points_and_follows_affine_maps() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 2))
    assert np.allclose(thin_plate(GRID, values, GRID), values, atol=1e-9)
    affine = GRID @ rng.normal(size=(2, 2)) + 3
    at = rng.uniform(0, 1, (20, 2))
    expected = at @ np.linalg.lstsq(np.c_[GRID, np.ones(9)], affine, rcond=None)[0][:2] + 3
    assert np.allclose(thin_plate(GRID, affine, at), expected, atol=1e-8)


def test_moving_all_points_alike_moves_the_picture() -> None:
    photo, mask = striped_disc(96)
    shift = 4 / 96
    moves = (
        Warp(corners=(shift, 0.0) * 4),
        Warp(bend=(shift, 0.0) * 9),
    )
    for warp in moves:
        picture, cover = warped(photo, mask, warp)
        assert np.abs(picture[:, 8:-8].astype(int) - np.roll(photo, 4, 1)[:, 8:-8]).max() <= 2
        assert np.abs(cover.astype(int) - np.roll(mask, 4, 1)).max() <= 2


def test_the_mask_moves_with_the_picture() -> None:
    photo, mask = striped_disc()
    how = replace(NOTHING, warp=Warp(corners=(0.03, 0, 0, 0.03, -0.03, 0, 0, -0.03)))
    picture, cover = degraded(photo, mask, how)
    drawn = (picture < 200).any(2)
    assert iou(drawn.astype(np.uint8) * 255, cover) > 0.95
