"""From a model's folder to the report, on a model too small to be good."""

import json
from pathlib import Path

import numpy as np
import pytest

from adloom.errors import ModelError
from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.training.conftest import drawn_shard
from training.judging.ablation import Ablation, run_ablation
from training.judging.heldout import Sampling
from training.judging.run import Evaluation, run_evaluation
from training.shards import Shard, write_shard


def samples(folder: Path, ads: int, seed: int) -> Path:
    """Two rows for each ad, as AdProd-mini writes them."""
    shard = drawn_shard((64, 96), 2 * ads, seed)
    rows = [
        {"view": k % 2, "family": "box", "surface": ("sand", "snow")[k // 2 % 2], "light": "cool"}
        for k in range(2 * ads)
    ]
    ads_array = shard.ads.copy()
    for k, row in enumerate(rows):  # a ground that tells the surface
        ads_array[k][shard.masks[k] == 0] = (200, 170, 120) if row["surface"] == "sand" else 240
    write_shard(folder, Shard(shard.native, ads_array, shard.masks, shard.products, shard.frames,
                              shard.captions))  # fmt: skip
    (folder / "64x96.rows.json").write_text(json.dumps(rows))
    return folder


def test_a_model_is_judged_beside_ceiling_and_floor(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "model")
    asked = Evaluation(
        tmp_path / "model", samples(tmp_path / "held", 6, 1), tmp_path / "out",
        samples(tmp_path / "train", 12, 2), count=4, seeds=3, how=Sampling(steps=2),
        hub=("clip-score=" + str(tmp_path / "no-such-folder"),),
    )  # fmt: skip
    written = run_evaluation(asked)
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    measures = report["measures"]
    assert (report["samples"], report["seeds"]) == (4, 3)
    assert measures["true ad"]["identity"]["value"] == pytest.approx(1.0, abs=1e-4)
    assert measures["true ad"]["matched-patch"]["value"] == pytest.approx(0, abs=1e-5)
    assert measures["true ad"]["scene: surface"]["value"] == 1.0
    assert measures["true ad"]["scene: detail"]["value"] == 0
    assert abs(measures["round trip"]["scene: detail"]["value"]) > 0.01
    assert measures["true ad"]["KID-EffLite0"]["value"] == pytest.approx(0, abs=1e-6)
    assert abs(measures["round trip"]["KID-EffLite0"]["value"]) > 0.001
    assert measures["model"]["identity"]["value"] < 0.95
    photo, filled = (measures[n]["matched-patch"]["value"] for n in ("pasted photo", "mean colour"))
    assert 0 < photo != filled
    for column in measures.values():
        for interval in column.values():
            if np.isfinite(interval["value"]):
                assert interval["low"] <= interval["value"] + 1e-9
                assert interval["value"] <= interval["high"] + 1e-9
    assert "KID-EffLite0" in written
    assert (tmp_path / "out" / "sheet.png").stat().st_size > 1000


def test_samples_that_do_not_say_what_they_show_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "held", drawn_shard((64, 96), 4))
    with pytest.raises(ModelError, match="adprod-mini"):
        run_evaluation(Evaluation(tmp_path / "model", tmp_path / "held", tmp_path / "out"))


def test_ablations_share_start_and_steps_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "start")
    recipe = tmp_path / "one-thread.yaml"  # two threads wait for each other on busy cores
    recipe.write_text("batch: 4\nthreads: [1]\n")
    asked = Ablation(
        samples(tmp_path / "train", 8, 2), samples(tmp_path / "held", 4, 1), tmp_path / "out",
        tmp_path / "start", steps=2, recipe=str(recipe), seeds=2, count=2, workers=1,
    )  # fmt: skip
    written = run_ablation(asked)
    head = written.splitlines()[0]
    for name in ("full", "no mask", "no dual augmentation", "full - no mask"):
        assert name in head
    measures = json.loads((tmp_path / "out" / "evaluation.json").read_text())["measures"]
    kid = {name: column["KID-EffLite0"]["value"] for name, column in measures.items()}
    assert kid["full - no mask"] == pytest.approx(kid["full"] - kid["no mask"])
    runs = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*/state.safetensors")}
    assert len(runs) == 6
    assert run_ablation(asked) == written
    assert {p: p.stat().st_mtime_ns for p in runs} == runs
