"""Samples are whole, the same for the same number, and survive a kill."""

import json
from pathlib import Path

import numpy as np
import pytest

mi = pytest.importorskip("mitsuba", reason="AdProd-mini needs mitsuba: pip install '.[rendering]'")
pytest.importorskip("pyoidn", reason="AdProd-mini needs pyoidn: pip install '.[rendering]'")
mi.set_variant("scalar_rgb")

from adloom.errors import ModelError, PhotoError  # noqa: E402
from training.adprod_mini.dataset import make_dataset, read_rows  # noqa: E402
from training.adprod_mini.lights import find_hdris  # noqa: E402
from training.adprod_mini.photograph import Quality  # noqa: E402
from training.adprod_mini.products import FAMILIES, HELDOUT_FAMILIES  # noqa: E402
from training.adprod_mini.samples import (  # noqa: E402
    SHARES,
    MiniSample,
    Recipe,
    check_recipe,
    make_sample,
    native_of,
)
from training.adprod_mini.scenes import Split  # noqa: E402
from training.scenes_synth.grammar import CAPTION_WORDS  # noqa: E402
from training.shards import read_shards  # noqa: E402

QUICK = Quality(scene=2, alone=2)


@pytest.fixture(scope="module")
def sample() -> MiniSample:
    return make_sample(Recipe(seed=1, quality=QUICK), 3)


def test_a_sample_shows_the_product_where_mask_and_frame_say(sample: MiniSample) -> None:
    width, height = sample.native
    assert sample.ad.shape == (height, width, 3)
    ys, xs = np.nonzero(sample.mask >= 128)
    cx, cy, side = sample.frame
    assert abs((xs.min() + xs.max() + 1) / 2 - cx) <= 1
    assert abs((ys.min() + ys.max() + 1) / 2 - cy) <= 1
    assert side == pytest.approx(max(np.ptp(xs) + 1, np.ptp(ys) + 1) / 0.85)
    assert sample.ad.std() > 10


def test_references_stand_on_white_and_further_ones_are_turned(sample: MiniSample) -> None:
    plain, turned = sample.references
    assert (plain.yaw_deg, plain.degraded) == (0.0, False)
    assert 4 <= abs(turned.yaw_deg) <= 15
    for reference in sample.references:
        edges = np.concatenate([reference.picture[0], reference.picture[:, 0]])
        assert (edges >= 250).all()
        assert (reference.picture < 200).any()
    assert not np.array_equal(plain.picture, turned.picture)


def test_captions_keep_to_the_vocabulary(sample: MiniSample) -> None:
    assert set(sample.caption.replace(",", " ").split()) <= CAPTION_WORDS


def test_the_same_number_gives_the_same_sample(sample: MiniSample) -> None:
    again = make_sample(Recipe(seed=1, quality=QUICK), 3)
    assert again.caption == sample.caption
    assert again.shown == sample.shown
    assert np.array_equal(again.mask, sample.mask)
    # Threads add light up in any order, and the denoiser makes more of it.
    assert np.abs(again.ad.astype(int) - sample.ad).mean() < 3


def test_native_sizes_come_in_their_shares_in_any_stretch() -> None:
    drawn = [native_of(i) for i in range(500, 700)]
    for native, share in SHARES.items():
        assert drawn.count(native) / 200 == pytest.approx(share, abs=0.02)
    assert native_of(0, 256) == tuple(2 * n for n in native_of(0))


def test_held_out_families_are_others() -> None:
    held = make_sample(Recipe(split=Split.HELDOUT_FAMILIES, views=1, quality=QUICK), 0)
    assert held.shown["family"] in {f.name for f in HELDOUT_FAMILIES}
    assert held.shown["family"] not in {f.name for f in FAMILIES}


def test_a_stopped_run_goes_on_and_writes_shards_for_the_trainer(tmp_path: Path) -> None:
    recipe = Recipe(views=2, quality=QUICK)
    lines = make_dataset(tmp_path, recipe, 4, 1, "scalar_rgb")
    next(lines)  # the first sample is there
    lines.close()
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").glob("*.npz")}
    assert kept
    with pytest.raises(ModelError, match="views"):
        list(make_dataset(tmp_path, Recipe(views=1, quality=QUICK), 4, 1, "scalar_rgb"))
    done = list(make_dataset(tmp_path, recipe, 4, 1, "scalar_rgb"))
    assert len(kept) == 4 or any(f"/{4 - len(kept)} samples" in line for line in done)
    shards = read_shards(tmp_path)
    assert sum(len(s) for s in shards) == 8
    for shard in shards:
        rows = read_rows(tmp_path, shard.native)
        assert [r["view"] for r in rows] == [0, 1] * (len(shard) // 2)
        assert np.array_equal(shard.ads[0], shard.ads[1])
    assert json.loads((tmp_path / "adprod-mini.json").read_text())["done"]
    assert not (tmp_path / "parts").exists()
    assert list(make_dataset(tmp_path, recipe, 4, 1, "scalar_rgb")) == [
        "4 samples are there already"
    ]


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    for recipe in (Recipe(size_px=100), Recipe(size_px=64), Recipe(views=0)):
        with pytest.raises(ModelError):
            check_recipe(recipe)
    with pytest.raises(PhotoError, match=r"no \.hdr"):
        find_hdris(tmp_path)
    (tmp_path / "broken.hdr").write_bytes(b"no picture")
    with pytest.raises(PhotoError, match=r"broken\.hdr"):
        make_sample(Recipe(quality=QUICK, hdris=find_hdris(tmp_path)), 0)
