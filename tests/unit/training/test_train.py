"""A short run learns, stops, and goes on as if it had not stopped."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import small_pipeline
from training.checkpoints import read_checkpoint
from training.latents import Bucket, draw_batch, load_buckets, save_buckets
from training.objective import stratified_timesteps
from training.recipe import Training
from training.train import Trainer

SHORT = Training(
    steps=40,
    batch=8,
    lr=3e-3,
    warmup=2,
    log_every=10,
    bf16=False,
    ema_decay=0.9,
    threads=(1,),
)


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.parameters])


def held_loss(trainer: Trainer, buckets: list[Bucket]) -> float:
    """Over the same batches, noises and timesteps each time."""
    rng = np.random.default_rng(77)
    with torch.no_grad():
        return float(np.mean([trainer.loss(draw_batch(buckets, 8, rng), rng) for _ in range(8)]))


def test_a_short_run_lowers_the_loss_and_logs_it(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    trainer = Trainer(pipeline, buckets, SHORT, tmp_path)
    before = held_loss(trainer, buckets)
    trainer.run()
    assert held_loss(trainer, buckets) < 0.8 * before
    with (tmp_path / "loss.csv").open() as f:
        assert [row["step"] for row in csv.DictReader(f)] == ["10", "20", "30", "40"]


def test_generation_freezes_the_networks_that_encode_the_reference(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    before = {
        f"{name}.{n}": p.detach().clone()
        for name, network in pipeline.networks.items()
        for n, p in network.named_parameters()
    }
    trainer = Trainer(pipeline, buckets, replace(SHORT, trainable="generation"), tmp_path)
    lost = held_loss(trainer, buckets)
    trainer.run()
    assert held_loss(trainer, buckets) < 0.8 * lost
    changed = {
        f"{name}.{n}"
        for name, network in pipeline.networks.items()
        for n, p in network.named_parameters()
        if not torch.equal(p, before[f"{name}.{n}"])
    }
    assert changed == {n for n in before if n.startswith(("unet.", "text_encoder."))}


def test_a_resumed_run_ends_where_an_unbroken_one_does(
    buckets: list[Bucket], tmp_path: Path
) -> None:
    whole = Trainer(small_pipeline(), buckets, SHORT, tmp_path / "whole")
    whole.run()
    broken = Trainer(small_pipeline(), buckets, SHORT, tmp_path / "broken")
    while broken.step < 15:
        broken.take_step(broken._progress())
    broken.save()
    other = small_pipeline(seed=5)
    other.vae = whole.pipeline.vae  # not trained, so not in the checkpoint: it came with the model
    resumed = Trainer(other, buckets, SHORT, tmp_path / "broken")
    resumed.resume()
    assert resumed.step == 15
    resumed.run()
    assert torch.allclose(weights(resumed), weights(whole), atol=1e-5)


def test_the_saved_pipeline_holds_the_averaged_weights(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    trainer = Trainer(pipeline, buckets, SHORT, tmp_path)
    for _ in range(5):
        trainer.take_step(0.0)
    kept = weights(trainer)
    trainer.save()
    assert torch.equal(weights(trainer), kept)
    saved = RefAdGenPipeline.from_pretrained(tmp_path / "ema").unet.conv_in.weight
    index = next(i for i, p in enumerate(trainer.parameters) if p is pipeline.unet.conv_in.weight)
    assert torch.equal(saved, trainer.ema.averages[index])
    assert not torch.equal(saved, pipeline.unet.conv_in.weight)


def test_resuming_from_nothing_or_another_model_is_refused(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no checkpoint"):
        Trainer(pipeline, buckets, SHORT, tmp_path).resume()
    Trainer(small_pipeline(position_frequencies=0), buckets, SHORT, tmp_path).save()
    with pytest.raises(ModelError, match="another configuration"):
        Trainer(pipeline, buckets, SHORT, tmp_path).resume()


def test_step_and_weights_lie_in_one_file(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    trainer = Trainer(pipeline, buckets, SHORT, tmp_path)
    trainer.step, trainer.seconds = 7, 1.5
    trainer.save()
    assert {p.name for p in tmp_path.iterdir()} == {"state.safetensors", "ema"}
    found = read_checkpoint(tmp_path)
    assert (found.step, found.seconds) == (7, 1.5)
    assert torch.equal(found.tensors["weight.0"], trainer.parameters[0])


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    whole = {"weight.0": torch.zeros(3)}
    for metadata in (None, {"step": "7"}, {"step": "7", "seconds": "[1]"}, {"step": "x"}):
        save_file(whole, path, metadata)
        with pytest.raises(ModelError, match=r"state\.safetensors: the checkpoint is damaged"):
            read_checkpoint(tmp_path)
    save_file(whole, path, {"step": "7", "seconds": "1.5"})
    assert read_checkpoint(tmp_path).step == 7
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelError, match="the checkpoint is damaged"):
        read_checkpoint(tmp_path)


def test_conditions_are_dropped_at_their_rates(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    trainer = Trainer(pipeline, buckets, SHORT, tmp_path)
    rng = np.random.default_rng(0)
    no_image = no_text = neither = 0
    for _ in range(300):
        ids, pixels = trainer.objective.dropped(draw_batch(buckets, 8, rng), rng)
        image = (pixels == 0).flatten(1).all(1)
        text = (ids == trainer.objective.empty_ids).all(1)
        neither += int((image & text).sum())
        no_image += int(image.sum())
        no_text += int(text.sum())
    assert no_image / 2400 == pytest.approx(0.15, abs=0.03)
    assert no_text / 2400 == pytest.approx(0.15, abs=0.03)
    assert neither / 2400 == pytest.approx(0.05, abs=0.02)


def test_timesteps_are_spread_and_uniform() -> None:
    rng = np.random.default_rng(0)
    draws = torch.stack([stratified_timesteps(8, 1000, rng) for _ in range(500)])
    assert int(draws.min()) >= 0
    assert int(draws.max()) < 1000
    assert all(len({int(t) // 125 for t in row}) >= 7 for row in draws)
    assert float(draws.float().mean()) == pytest.approx(499.5, abs=5)


def test_buckets_survive_the_disk(buckets: list[Bucket], tmp_path: Path) -> None:
    save_buckets(tmp_path / "b.pt", buckets)
    again = load_buckets(tmp_path / "b.pt")
    assert [b.native for b in again] == [b.native for b in buckets]
    for ours, theirs in zip(buckets, again, strict=True):
        assert torch.equal(ours.ads, theirs.ads)
        assert torch.equal(ours.ids, theirs.ids)
