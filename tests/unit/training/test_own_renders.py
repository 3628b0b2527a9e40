"""What a model renders of its own samples' conditions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import randomise, small_pipeline
from tests.unit.training.conftest import drawn_shard
from training.latents import Bucket, encode_shard, load_buckets, save_buckets, take_rows
from training.own_renders import _seed_of, unguided, write_own_renders


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


def test_each_sample_has_the_render_of_its_own_conditions_and_seed(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    randomise(pipeline.unet)
    randomise(pipeline.reference_unet, 2)
    pipeline.save_pretrained(tmp_path / "model")
    save_buckets(tmp_path / "all.pt", buckets)
    out = tmp_path / "out" / "buckets.pt"
    write_own_renders(tmp_path / "model", tmp_path / "all.pt", out, 6, 5, 3, 2)
    for number, bucket in enumerate(load_buckets(out)):
        assert bucket.renders is not None
        for row in range(len(bucket)):
            seeds = [_seed_of(5, number, row)] * len(bucket)
            of_all = unguided(pipeline, take_rows(bucket, torch.arange(len(bucket))), seeds, 3)
            off = (of_all - bucket.renders[row].float()).abs().flatten(1).amax(1)
            assert [bool(o < 2e-2) for o in off] == [other == row for other in range(len(bucket))]
            assert off.sort().values[1] > 0.1


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
    shards = [drawn_shard(b.native, 2) for b in buckets]
    for bucket in (encode_shard(pipeline, replace(s, products=s.ads)) for s in shards):
        assert bucket.products.shape == bucket.ads.shape
        made = unguided(pipeline, take_rows(bucket, torch.arange(2)), [1, 2], steps=3)
        assert made.shape == bucket.ads.shape


@pytest.mark.parametrize("workers", [1, 2])
def test_renders_that_are_not_finite_are_refused(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path, workers: int
) -> None:
    with torch.no_grad():
        pipeline.unet.conv_out.weight.fill_(1e8)
    pipeline.save_pretrained(tmp_path / "model")
    save_buckets(tmp_path / "all.pt", buckets)
    out = tmp_path / "out" / "buckets.pt"
    with pytest.raises(ModelError, match="not finite"):
        write_own_renders(tmp_path / "model", tmp_path / "all.pt", out, 2, 0, 3, workers)
    assert list(out.parent.iterdir()) == []


def test_products_too_small_to_render_are_left_out(
    pipeline: RefAdGenPipeline, buckets: list[Bucket], tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    small = replace(buckets[0], masks=buckets[0].masks * 0.4)
    masks = buckets[1].masks.clone()
    masks[3:] *= 0.4
    save_buckets(tmp_path / "all.pt", [small, replace(buckets[1], masks=masks)])
    out = tmp_path / "out" / "buckets.pt"
    write_own_renders(tmp_path / "model", tmp_path / "all.pt", out, 24, 20251128, 3, 1)
    (made,) = load_buckets(out)
    assert made.native == buckets[1].native
    assert len(made) == 3
    save_buckets(tmp_path / "none.pt", [small])
    with pytest.raises(ModelError, match="too small"):
        write_own_renders(tmp_path, tmp_path / "none.pt", tmp_path / "o" / "b.pt", 1, 0, 3, 1)


def test_more_renders_than_samples_are_refused(buckets: list[Bucket], tmp_path: Path) -> None:
    save_buckets(tmp_path / "all.pt", buckets)
    with pytest.raises(ModelError, match="25 of 24"):
        write_own_renders(tmp_path, tmp_path / "all.pt", tmp_path / "o" / "b.pt", 25, 0, 3, 1)
