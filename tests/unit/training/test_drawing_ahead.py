"""Samples drawn by other processes while a model trains, mixed with traced ones."""

from itertools import pairwise
from pathlib import Path

from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.training.conftest import drawn_shard
from training.drawing_ahead import Blocks, Mixture
from training.shards import drawing_pool, halved, read_shards


def test_what_is_drawn_is_taken_up_once_and_traced_ones_keep_their_share(
    pipeline: RefAdGenPipeline, tmp_path: Path
) -> None:
    traced = [drawn_shard((64, 64), 3)]
    with drawing_pool(1, 1) as pool:
        blocks = Blocks(pool, tmp_path, scale=1, size=4, seed=5)
        try:
            mixture = Mixture(pipeline, blocks, traced, 0.5, halved)
            samples, totals, shares = [], [], []
            for _ in range(3):
                seen = blocks.done
                while blocks.done == seen:
                    blocks.wait_for_next()
                total = sum(len(b) for b in mixture.buckets())
                samples.append(mixture.samples)
                totals.append(total)
                shares.append((total - 2 * mixture.samples) / total)  # with mirror images
        finally:
            blocks.stop()
    assert all(after - before >= 4 for before, after in pairwise(samples))
    assert all(abs(share - 0.5) <= 3 / total for share, total in zip(shares, totals, strict=True))
    folders = sorted(tmp_path.iterdir())
    assert samples[-1] <= sum(len(s) for f in folders for s in read_shards(f))
    assert set(traced[0].captions[0].split()) <= mixture.words


def test_traced_samples_are_left_out_where_there_are_none(
    pipeline: RefAdGenPipeline, tmp_path: Path
) -> None:
    with drawing_pool(1, 1) as pool:
        blocks = Blocks(pool, tmp_path, scale=1, size=2, seed=6)
        try:
            mixture = Mixture(pipeline, blocks, [], 0.5, halved)
            assert sum(len(b) for b in mixture.buckets()) == 2 * mixture.samples > 0
        finally:
            blocks.stop()
