"""Seam and contact-shadow errors on drawn scenes whose light is known, and the whole command."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from adloom.errors import ModelError
from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.training.judging.test_evaluation import samples
from training.__main__ import app
from training.judging.heldout import Sampling, Truth, outline_of, pasted
from training.judging.joining import (
    CONTACT,
    FINISHED,
    PASTED,
    PASTED_UNMASKED,
    SEAM,
    SEAMS,
    Joining,
    contact_profile,
    joining_errors,
    only_locked,
    run_joining,
    seam_profile,
)
from training.shards import draw_block, write_shard

Picture = NDArray[np.uint8]
SIDE = 128
MINI = Path(__file__).parents[4] / "weights" / "mini"


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
    for name in (*SEAMS, CONTACT):
        assert found[name][0][0] == pytest.approx(0, abs=0.02)


def test_a_missing_shadow_and_a_halo_are_errors_of_their_own() -> None:
    true = truth(scene(120, shadow=0.5))
    found = joining_errors([true] * 2, [[scene(120), scene(120, shadow=0.5, halo=0.4)]])
    (without, haloed), seams = found[CONTACT][0], found[SEAMS[0]][0]
    assert without > 0.15
    assert without > 2 * haloed
    assert seams[1] > 0.05
    assert seams[1] > seams[0]
    assert found[SEAMS[1]][0] == pytest.approx([0, 0], abs=1e-9), "the product is as it was"
    assert found[SEAM][0] == pytest.approx(np.array(seams) / 2), "the mean of both sides"


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


@pytest.mark.parametrize(("tone", "ground"), [(60, 120), (200, 60)])
def test_the_photo_pasted_on_the_true_ground_is_hardly_an_error(tone: int, ground: int) -> None:
    """An edge that is drawn like the true one but for two more resamplings, to a canvas and back,
    whatever stands beside it."""
    fine = np.zeros((8 * SIDE, 8 * SIDE), np.uint8)
    cv2.circle(fine, (4 * SIDE, 4 * SIDE), 3 * SIDE - 5, 255, -1)
    soft = cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    share = soft[..., None] / 255.0
    bare = np.full((SIDE, SIDE, 3), ground, np.uint8)
    ad = np.rint(bare * (1 - share) + tone * share).astype(np.uint8)
    white = np.full_like(bare, 255)
    reference = np.rint(white * (1 - share) + tone * share).astype(np.uint8)
    given = Truth(ad, np.asarray(soft, np.uint8), reference, (64.0, 64.0, float(SIDE)), "", {})
    found = joining_errors([given], [[pasted(bare, given)]])
    for name in (*SEAMS, CONTACT):
        assert found[name][0][0] == pytest.approx(0, abs=0.06), name


def drawn(folder: Path, count: int) -> Path:
    """Products that `mini` can draw, each from the ad's own side."""
    write_shard(folder, draw_block((SIDE, SIDE), "heldout", 3, count))
    rows = [{"view": 0, "family": "drawn"}] * count
    (folder / f"{SIDE}x{SIDE}.rows.json").write_text(json.dumps(rows))
    return folder


def test_both_ways_are_judged_and_shown(tmp_path: Path) -> None:
    held, more = drawn(tmp_path / "held", 3), drawn(tmp_path / "more", 1)
    command = ["joins", str(MINI), str(held), str(tmp_path / "out"), "--also", str(more)]
    command += ["--seeds", "1", "--steps", "8"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert f"| {FINISHED} - {PASTED} |" in result.output
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    measures = report["measures"]
    for way in (FINISHED, PASTED, PASTED_UNMASKED):
        assert set(measures[way]) == {SEAM, *SEAMS, CONTACT}
        assert all(np.isfinite(of["value"]) for of in measures[way].values()), way
    assert measures[FINISHED][SEAM]["value"] != measures[PASTED][SEAM]["value"]
    assert report["samples"] == 4
    assert all(np.isfinite(report["light"][name]) for name in ("level", "shape"))
    assert f"level {report['light']['level']:.2f}" in result.output
    assert report["compared"] == round(4 * report["detail lock applied"])
    assert (tmp_path / "out" / "joins.png").stat().st_size > 500


def test_renders_that_show_no_product_are_no_comparison(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "model")
    held = samples(tmp_path / "held", 3, 1)
    with pytest.raises(ModelError, match="detail lock was refused in all 2 renders"):
        run_joining(Joining(tmp_path / "model", (held,), tmp_path / "out", 2, 1, Sampling(1)))


def test_too_little_to_judge_by_is_refused(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "model")
    held = samples(tmp_path / "held", 1, 1)
    with pytest.raises(ModelError, match="at least two samples"):
        run_joining(Joining(tmp_path / "model", (held,), tmp_path / "out"))


def test_where_detail_lock_was_refused_nothing_is_compared() -> None:
    values = {CONTACT: [[0.1, 0.2], [0.3, 0.4]]}
    [found] = only_locked([[True, False], [True, True]], values).values()
    assert found[0][0] == 0.1
    assert np.isnan(found[0][1])
    assert found[1] == [0.3, 0.4]


def test_a_reference_from_the_ads_side_has_the_ads_outline() -> None:
    """The mask brought to the reference's frame, cut where the reference is white."""
    reference = np.full((SIDE, SIDE, 3), 255, np.uint8)
    reference[16:112, 32:96] = 90
    cut = np.zeros((SIDE, SIDE), np.uint8)
    cut[48:96, 40:56] = 255  # the left half, the right one hidden behind something
    there = Truth(reference, cut, reference, (56.0, 72.0, 64.0), "", {})
    found = outline_of(there)
    assert found[20:108, 36:60].min() == 255
    assert found[:, 66:].max() == 0
    turned = replace(there, shown={"view": 1})
    assert (outline_of(turned)[16:112, 32:96] == 255).all()


def test_white_parts_of_a_product_are_part_of_it() -> None:
    reference = np.full((SIDE, SIDE, 3), 255, np.uint8)
    reference[16:112, 32:96] = 90
    reference[40:60, 50:70] = 255  # a label
    whole = np.full((SIDE, SIDE), 255, np.uint8)
    given = Truth(reference, whole, reference, (64.0, 64.0, float(SIDE)), "", {"view": 0})
    found = outline_of(given)
    assert found[45, 60] == 255
    assert found[8, 60] == 0


def test_an_ad_whose_product_cannot_be_found_again_is_pasted_all_the_same() -> None:
    reference = np.full((SIDE, SIDE, 3), 255, np.uint8)
    reference[16:112, 32:96] = 90
    beside = np.zeros((SIDE, SIDE), np.uint8)
    beside[:10, :10] = 255
    given = Truth(reference, beside, reference, (64.0, 64.0, float(SIDE)), "", {"view": 0})
    made = pasted(np.full((SIDE, SIDE, 3), 200, np.uint8), given)
    assert abs(int(made[64, 64, 0]) - 90) < 3
