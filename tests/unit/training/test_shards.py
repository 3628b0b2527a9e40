"""Samples on disk come back as they were written."""

from pathlib import Path

import numpy as np
import pytest

from adloom.errors import ModelError
from tests.unit.training.conftest import drawn_shard
from training.shards import concatenate, draw_block, read_shards, write_shard


def test_shards_survive_the_disk(tmp_path: Path) -> None:
    written = [drawn_shard((64, 96), 3), drawn_shard((96, 64), 2)]
    for shard in written:
        write_shard(tmp_path, shard)
    again = {s.native: s for s in read_shards(tmp_path)}
    assert set(again) == {(64, 96), (96, 64)}
    for shard in written:
        for name in ("ads", "masks", "products", "frames"):
            assert np.array_equal(getattr(shard, name), getattr(again[shard.native], name))
        assert again[shard.native].captions == shard.captions


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="python -m training shards"):
        read_shards(tmp_path)


def test_shards_of_different_sizes_do_not_mix() -> None:
    with pytest.raises(ValueError, match="one native size"):
        concatenate([drawn_shard((64, 96), 1), drawn_shard((96, 64), 1)])


def test_a_block_is_the_same_each_time_it_is_drawn() -> None:
    first, again = (draw_block((128, 128), "train", 3, 2) for _ in range(2))
    other = draw_block((128, 128), "train", 4, 2)
    assert np.array_equal(first.ads, again.ads)
    assert first.captions == again.captions
    assert not np.array_equal(first.ads, other.ads)
