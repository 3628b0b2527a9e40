"""A model that learns to tell true ads from what it renders itself: the loss, and its recipe."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from adloom.errors import ModelError, SpecError
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import small_pipeline
from training.__main__ import app
from training.latents import (
    Bucket,
    joined,
    save_buckets,
    take_rows,
)
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
    assert _checkpoints(pipeline.unet)
    assert not _checkpoints(objective.start)
    given = objective.prepared(take_rows(paired[0], torch.arange(8)), np.random.default_rng(0))
    gains = objective.gains(given)
    assert all(float(g.detach().abs().max()) == 0 for g in (gains.ads, gains.renders, gains.moved))


def _checkpoints(network: torch.nn.Module) -> bool:
    return any(getattr(m, "gradient_checkpointing", False) for m in network.modules())


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


def test_what_is_told_apart_in_the_last_step_alone_has_that_timestep(
    pipeline: RefAdGenPipeline, paired: list[Bucket]
) -> None:
    objective = TellingApart(pipeline, replace(TOLD, ddo_above=0.9999))
    given = objective.prepared(take_rows(paired[0], torch.arange(12)), np.random.default_rng(0))
    last = pipeline.scheduler.config.num_train_timesteps - 1
    assert (given.noised.t[:12] == last).sum() == 9
    assert int(given.noised.t.max()) == last


def test_the_command_refuses_samples_without_renders_before_any_worker_starts(
    buckets: list[Bucket], tmp_path: Path
) -> None:
    (tmp_path / "encoded").mkdir()
    save_buckets(tmp_path / "encoded" / "buckets.pt", buckets)
    asked = ["train", "no-model", str(tmp_path / "encoded"), str(tmp_path / "out")]
    refused = CliRunner().invoke(app, [*asked, "--recipe", "told-apart", "--workers", "2"])
    assert isinstance(refused.exception, ModelError)
    assert "no renders" in str(refused.exception)
    assert str(tmp_path / "encoded") in str(refused.exception)


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
