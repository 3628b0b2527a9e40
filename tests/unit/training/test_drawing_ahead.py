"""Samples drawn by other processes while a model trains, mixed with traced ones."""

from itertools import pairwise
from pathlib import Path

import pytest

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.training.conftest import drawn_shard
from training.drawing_ahead import Blocks, Mixture
from training.shards import drawing_pool, halved, words_of


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
                seen = blocks.count_done()
                while blocks.count_done() == seen:
                    blocks.wait_for_next()
                total = sum(len(b) for b in mixture.buckets())
                samples.append(mixture.samples)
                taken = blocks.shards(0, mixture.taken)
                assert mixture.samples == sum(len(s) for s in taken)
                assert words_of([*taken, *traced]) == mixture.words
                totals.append(total)
                shares.append((total - mixture.samples) / total)
        finally:
            blocks.stop()
    assert all(after - before >= 4 for before, after in pairwise(samples))
    assert all(abs(share - 0.5) <= 3 / total for share, total in zip(shares, totals, strict=True))


def test_a_block_that_fails_ends_the_drawing_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "blocks"
    with drawing_pool(1, 1) as pool:
        blocks = Blocks(pool, folder, scale=1, size=2, seed=7)
        blocks.wait_for_one()
        folder.rename(tmp_path / "moved")
        folder.write_text("no folder")
        while blocks.is_drawing:
            blocks.wait_for_next()
        blocks.wait_for_one()
        assert blocks.count_done() >= 1
        blocks.stop()


def test_where_nothing_can_be_drawn_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "blocks").write_text("no folder")
    with drawing_pool(1, 1) as pool:
        blocks = Blocks(pool, tmp_path / "blocks", scale=1, size=2, seed=7)
        with pytest.raises(ModelError, match="no samples can be drawn"):
            blocks.wait_for_one()
        blocks.stop()


def test_traced_samples_are_left_out_where_there_are_none(
    pipeline: RefAdGenPipeline, tmp_path: Path
) -> None:
    with drawing_pool(1, 1) as pool:
        blocks = Blocks(pool, tmp_path, scale=1, size=2, seed=6)
        try:
            mixture = Mixture(pipeline, blocks, [], 0.5, halved)
            assert sum(len(b) for b in mixture.buckets()) == mixture.samples > 0
        finally:
            blocks.stop()
