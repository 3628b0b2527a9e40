"""A model told from what it renders itself: renders of its samples, and the loss that uses them."""

from collections.abc import Callable
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adloom.errors import ModelError, SpecError
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.training.conftest import drawn_shard
from training.latents import (
    Bucket,
    encode_shard,
    joined,
    load_buckets,
    save_buckets,
    take_rows,
)
from training.own_renders import unguided, write_own_renders
from training.recipe import Training, read_recipe
from training.telling_apart import TellingApart, check_renders
from training.train import Trainer

TOLD = Training(
    trainable="unet",
    steps=40,
    batch=8,
    lr=2e-3,
    warmup=2,
    weight_decay=0.0,
    bf16=False,
    ddo_beta=10.0,
    ddo_alpha=1.0,
    ddo_above=0.4,
    ddo_keep=5.0,
    ema_decay=0.0,
    threads=(1,),
)


@pytest.fixture
def paired(buckets: list[Bucket]) -> list[Bucket]:
    """With renders that are told from the ads at once: their scenes are the opposite."""
    return [replace(b, renders=b.ads * (2 * b.masks - 1)) for b in buckets]


def test_at_the_start_nothing_is_gained_and_the_loss_is_that_of_a_coin(
    pipeline: RefAdGenPipeline, paired: list[Bucket]
) -> None:
    objective = TellingApart(pipeline, replace(TOLD, ddo_above=0.0, ddo_alpha=3.0))
    given = objective.prepared(take_rows(paired[0], torch.arange(8)), np.random.default_rng(0))
    assert len(given.noised.noisy) == 16
    assert torch.equal(given.noised.t[:8], given.noised.t[8:])
    with torch.no_grad():
        gains = objective.gains(given)
    assert all(float(g.abs().max()) < 1e-5 for g in (gains.ads, gains.renders, gains.moved))
    assert float(objective.error(given).detach()) == pytest.approx(
        4 * log(2) / TOLD.ddo_beta, rel=1e-5
    )


def test_in_bfloat16_with_lean_norms_the_start_rounds_as_today_does(
    pipeline: RefAdGenPipeline,
    paired: list[Bucket],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    cfg = replace(TOLD, bf16=True, lean_norms=True, gradient_checkpointing=True)
    objective = Trainer(pipeline, paired, cfg, tmp_path).objective
    assert isinstance(objective, TellingApart)
    given = objective.prepared(take_rows(paired[0], torch.arange(8)), np.random.default_rng(0))
    gains = objective.gains(given)
    assert all(float(g.detach().abs().max()) == 0 for g in (gains.ads, gains.renders, gains.moved))


def test_a_product_that_fills_its_picture_has_no_scene_to_be_told_by(
    pipeline: RefAdGenPipeline, paired: list[Bucket]
) -> None:
    objective = TellingApart(pipeline, replace(TOLD, ddo_above=0.0))
    with torch.no_grad():
        pipeline.unet.conv_in.weight.add_(0.1)
    batch = take_rows(paired[0], torch.arange(4))
    masks = batch.masks.clone()
    masks[1:3] = 1
    masks[2, :, 0, 0] = 0.9
    given = objective.prepared(replace(batch, masks=masks), np.random.default_rng(0))
    gains, loss = objective.gains(given), objective.error(given)
    assert gains.ads[1:3].tolist() == gains.renders[1:3].tolist() == [0, 0]
    assert (gains.ads[[0, 3]] != 0).all()
    assert (gains.moved > 0).all()
    loss.backward()
    slopes = [p.grad for p in pipeline.unet.parameters() if p.grad is not None]
    assert len(slopes) > 0
    assert all(s.isfinite().all() for s in slopes)


def test_a_run_predicts_the_ads_scenes_better_and_the_renders_worse(
    pipeline: RefAdGenPipeline, paired: list[Bucket], tmp_path: Path
) -> None:
    trainer = Trainer(pipeline, paired, replace(TOLD, ddo_keep=0.5), tmp_path)
    objective = trainer.objective
    assert isinstance(objective, TellingApart)
    start = [p.clone() for p in objective.start.parameters()]
    trainer.run()
    assert all(map(torch.equal, start, objective.start.parameters()))
    rng = np.random.default_rng(7)
    with torch.no_grad():
        gains = [
            objective.gains(objective.prepared(take_rows(b, torch.arange(12)), rng)) for b in paired
        ]
    ads, renders = (torch.cat([getattr(g, n) for g in gains]) for n in ("ads", "renders"))
    assert float(ads.mean()) > 0.03
    assert float(renders.mean()) < -0.01


@pytest.mark.parametrize("part", ["below", "product"])
def test_what_is_held_to_the_start_moves_less(
    paired: list[Bucket], tmp_path: Path, part: str
) -> None:
    """With a weight on it; how much it moved is measured alike for both."""
    moved: list[float] = []
    measured = replace(TOLD, ddo_above=0.999 if part == "below" else 0.0)
    for keep in (0.0, 50.0):
        pipeline = small_pipeline()
        looking = TellingApart(pipeline, measured)
        Trainer(
            pipeline, paired, replace(TOLD, steps=20, ddo_keep=keep), tmp_path / f"{keep}"
        ).run()
        rng, found = np.random.default_rng(3), []
        for bucket in 4 * paired:
            given = looking.prepared(take_rows(bucket, torch.arange(12)), rng)
            below = given.noised.t < 400 if part == "below" else given.noised.t >= 0
            with torch.no_grad():
                found.append(looking.gains(given).moved[below])
        moved.append(float(torch.cat(found).mean()))
    assert moved[1] < 0.5 * moved[0]


@pytest.mark.parametrize(("above", "held"), [(0.0, 0.0), (0.1, 0.1), (0.4, 0.25), (0.9, 0.25)])
def test_a_quarter_of_the_pairs_at_most_is_only_held(
    pipeline: RefAdGenPipeline, paired: list[Bucket], above: float, held: float
) -> None:
    objective = TellingApart(pipeline, replace(TOLD, ddo_above=above))
    batch, rng = take_rows(paired[0], torch.arange(12)), np.random.default_rng(0)
    drawn = [objective.prepared(batch, rng).noised.t[:12] for _ in range(100)]
    t = torch.cat(drawn) / pipeline.scheduler.config.num_train_timesteps
    assert float((t < above).float().mean()) == pytest.approx(held, abs=0.02)
    assert float(t[t >= above].mean()) == pytest.approx((1 + above) / 2, abs=0.02)
    if held:
        assert float(t[t < above].mean()) == pytest.approx(above / 2, abs=0.02)
    assert float(t.max()) < 1


def test_samples_without_renders_are_refused(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no renders"):
        Trainer(pipeline, buckets, TOLD, tmp_path).run()
    half = [buckets[0], replace(buckets[1], renders=buckets[1].ads)]
    with pytest.raises(ModelError, match="no renders") as raised:
        check_renders(half, tmp_path)
    assert str(buckets[0].native) in str(raised.value)
    assert str(buckets[1].native) not in str(raised.value)
    one, other = buckets[0], replace(buckets[0], renders=buckets[0].ads)
    with pytest.raises(ModelError, match="own renders"):
        joined([one, other])
    assert torch.equal(joined([other, other])[0].arrays["renders"], torch.cat([one.ads, one.ads]))


@pytest.mark.parametrize(
    "asked",
    ["ddo_above: 1.0", "ddo_beta: -1.0", "ddo_keep: -0.1", "ddo_alpha: .nan", "ddo_beta: .inf"],
)
def test_settings_beyond_their_range_are_refused(tmp_path: Path, asked: str) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"trainable: unet\n{asked}\n")
    with pytest.raises(SpecError, match=asked.split(":", maxsplit=1)[0]):
        read_recipe(str(recipe))


def test_a_resumed_run_is_compared_with_the_same_start(
    paired: list[Bucket], tmp_path: Path
) -> None:
    """As in one go, to the last bit."""
    exact = replace(TOLD, steps=4, max_minutes=None, save_steps=2, save_minutes=0)
    whole = Trainer(small_pipeline(), paired, exact, tmp_path / "whole")
    whole.run()
    stopped = Trainer(small_pipeline(), paired, exact, tmp_path / "stopped")
    for step in range(2):
        stopped.take_step(step / exact.steps)
    stopped.save()
    resumed = Trainer(small_pipeline(), paired, exact, tmp_path / "stopped")
    resumed.resume()
    resumed.run()
    assert isinstance(resumed.objective, TellingApart)
    start = small_pipeline().unet.state_dict()
    assert all(torch.equal(v, start[n]) for n, v in resumed.objective.start.state_dict().items())
    for one, other in zip(whole.parameters, resumed.parameters, strict=True):
        assert torch.equal(one, other)


def test_a_recipe_that_trains_what_is_compared_with_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("ddo_beta: 30.0\ntrainable: generation\n")
    with pytest.raises(SpecError, match="trainable: generation"):
        read_recipe(str(recipe))


def test_own_renders_are_the_same_from_any_number_of_workers_and_fit_their_samples(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    save_buckets(tmp_path / "all.pt", buckets)
    made = []
    for workers in (1, 2):
        out = tmp_path / f"of{workers}" / "buckets.pt"
        write_own_renders(tmp_path / "model", tmp_path / "all.pt", out, 10, 5, 3, workers)
        assert [p.name for p in out.parent.iterdir()] == ["buckets.pt"]
        with pytest.raises(ModelError, match="lie there already"):
            write_own_renders(tmp_path / "model", tmp_path / "all.pt", out, 10, 5, 3, workers)
        made.append(load_buckets(out))
    assert [len(b) for b in made[0]] == [5, 5]
    for one, two, whole in zip(*made, buckets, strict=True):
        assert one.renders is not None
        assert two.renders is not None
        assert one.renders.shape == one.ads.shape
        assert torch.allclose(one.renders.float(), two.renders.float(), atol=2e-2)
        assert torch.equal(one.ads, two.ads)
        assert all((row == whole.ads).flatten(1).all(1).any() for row in one.ads)
        assert len({float(r.float().sum()) for r in one.renders}) == len(one)


def test_own_renders_are_unguided_with_all_noise_and_leave_the_pipeline_as_it_was(
    pipeline: RefAdGenPipeline, buckets: list[Bucket]
) -> None:
    batch = take_rows(buckets[0], torch.arange(2))
    made = unguided(pipeline, batch, [1, 2], steps=3)
    scales = {"product_noise_scale": 0.5, "noise_scale": 0.7}
    pipeline.register_to_config(**scales)
    assert torch.equal(made, unguided(pipeline, batch, [1, 2], steps=3))
    assert {name: pipeline.config[name] for name in scales} == scales
    pipeline.unet.predict = _asked_once_a_step(pipeline.unet.predict)  # pyright: ignore
    unguided(pipeline, batch, [1, 2], steps=3)


def _asked_once_a_step(predict: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """With guidance it would be asked of two halves."""

    def asked(noisy: torch.Tensor, *others: Any, **named: Any) -> torch.Tensor:
        assert len(noisy) == 2
        return predict(noisy, *others, **named)

    return asked


def test_aligned_models_render_their_samples(buckets: list[Bucket]) -> None:
    pipeline = small_pipeline(position_frequencies=0, reference_frame="aligned")
    aligned = [encode_shard(pipeline, drawn_shard(b.native, 2)) for b in buckets]
    for bucket in aligned:
        made = unguided(pipeline, take_rows(bucket, torch.arange(2)), [1, 2], steps=3)
        assert made.shape == bucket.ads.shape


def test_more_renders_than_samples_are_refused(buckets: list[Bucket], tmp_path: Path) -> None:
    save_buckets(tmp_path / "all.pt", buckets)
    with pytest.raises(ModelError, match="25 of 24"):
        write_own_renders(tmp_path, tmp_path / "all.pt", tmp_path / "o" / "b.pt", 25, 0, 3, 1)
