"""Seam and contact-shadow errors on drawn scenes whose light is known, and the whole command."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.training.judging.test_evaluation import samples
from training.judging.heldout import Sampling, Truth
from training.judging.joining import (
    CONTACT,
    FINISHED,
    PASTED,
    SEAM,
    Joining,
    contact_profile,
    joining_errors,
    pasted,
    run_joining,
    seam_profile,
)

Picture = NDArray[np.uint8]
SIDE = 128


def mask() -> Picture:
    found = np.zeros((SIDE, SIDE), np.uint8)
    found[34:104, 40:88] = 255
    return found


def scene(ground: int, *, shadow: float = 0.0, halo: float = 0.0) -> Picture:
    """A box on a plain ground; the ground is darker at its foot, or lighter all around it."""
    inside = mask() >= 128
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    light = np.full((SIDE, SIDE), float(ground))
    low = np.arange(SIDE)[:, None] >= 94
    light *= 1 - shadow * np.exp(-away / 5) * low
    light *= 1 + halo * (away < 2)
    light[inside] = 150
    return np.repeat(np.clip(light, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


def truth(ad: Picture) -> Truth:
    reference = np.full((SIDE, SIDE, 3), 255, np.uint8)
    reference[10:118, 27:101] = 150
    return Truth(ad, mask(), reference, (64.0, 69.0, 70 / 0.85), "a box", {})


def test_the_same_light_on_another_ground_is_no_error() -> None:
    true = truth(scene(120, shadow=0.5))
    found = joining_errors([true], [[scene(180, shadow=0.5)]])
    assert found[SEAM][0][0] == pytest.approx(0, abs=0.02)
    assert found[CONTACT][0][0] == pytest.approx(0, abs=0.02)


def test_a_missing_shadow_and_a_halo_are_errors_of_their_own() -> None:
    true = truth(scene(120, shadow=0.5))
    without, haloed = joining_errors(
        [true, true], [[scene(120), scene(120, shadow=0.5, halo=0.4)]]
    )[CONTACT][0]
    assert without > 0.15
    assert without > 2 * haloed
    seams = joining_errors([true, true], [[scene(120), scene(120, shadow=0.5, halo=0.4)]])[SEAM][0]
    assert seams[1] > 0.05
    assert seams[1] > seams[0]


def test_profiles_are_logarithms_of_the_rings_light() -> None:
    ad = scene(100)
    ad[mask() >= 128] = 50
    assert np.nanmax(np.abs(seam_profile(ad, mask()))) == pytest.approx(0, abs=1e-9)
    dark = scene(200, shadow=0.6)
    profile = contact_profile(dark, mask())
    assert (profile < -0.02).all()
    assert (np.diff(profile, axis=1) > 0).all(), "darkest beside the foot"


def test_a_product_without_room_beside_it_gives_nan_and_no_error() -> None:
    full = np.full((SIDE, SIDE), 255, np.uint8)
    filled = replace(truth(scene(120)), mask=full)
    assert np.isnan(joining_errors([filled], [[scene(120)]])[CONTACT][0][0])


def test_the_photo_is_pasted_where_the_ad_shows_the_product() -> None:
    given = truth(scene(120))
    laid = pasted(np.zeros((SIDE, SIDE, 3), np.uint8), given)
    shown = laid.max(axis=2) > 75
    assert np.count_nonzero(shown & (mask() >= 128)) / np.count_nonzero(
        shown | (mask() >= 128)
    ) == pytest.approx(1, abs=0.06)


def test_both_ways_are_judged_and_shown(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "model")
    held = samples(tmp_path / "held", 3, 1)
    asked = Joining(tmp_path / "model", held, tmp_path / "out", 2, 2, Sampling(steps=1))
    table = run_joining(asked)
    assert f"{FINISHED} - {PASTED}" in table.splitlines()[0]
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(report["measures"][PASTED]) == {SEAM, CONTACT}
    assert np.isfinite(report["measures"][FINISHED][SEAM]["value"])
    assert (tmp_path / "out" / "joins.png").stat().st_size > 500
