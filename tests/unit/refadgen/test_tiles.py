"""Tiles: they cover the whole, and blended they give it back."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adloom.errors import RenderArgumentError
from models.refadgen.tiles import LEAST_OVERLAP, Tiling

SIDES = st.tuples(st.integers(2, 12), st.integers(2, 12))


@given(tile=SIDES, more=st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_tiles_that_are_blended_give_what_they_were_cut_from(
    tile: tuple[int, int], more: tuple[int, int]
) -> None:
    size = tile[0] + more[0], tile[1] + more[1]
    whole = torch.rand(1, 2, *size)
    tiling = Tiling.over(size, tile)
    assert tiling.cut(whole).shape == (len(tiling), 2, *tile)
    assert torch.allclose(tiling.blend(tiling.cut(whole)), whole, atol=1e-6)
    assert torch.allclose(
        tiling.times(2).blend(tiling.times(2).cut(whole.repeat(1, 1, 2, 2))),
        whole.repeat(1, 1, 2, 2),
        atol=1e-6,
    )


@given(part=st.integers(4, 24), more=st.integers(1, 100))
def test_neighbours_overlap(part: int, more: int) -> None:
    rows = sorted({y for y, _ in Tiling.over((part + more, part), (part, part)).places})
    assert rows[0] == 0
    assert rows[-1] == more
    for here, below in pairwise(rows):
        assert here + part - below >= LEAST_OVERLAP * part - 1


def test_a_blend_leans_to_the_nearer_tiles_middle() -> None:
    tiling = Tiling.over((1, 12), (1, 8))
    tiles = torch.stack([torch.full((1, 1, 8), float(i)) for i in range(len(tiling))])
    blended = tiling.blend(tiles)[0, 0, 0]
    assert blended[0] == 0
    assert blended[-1] == len(tiling) - 1
    assert (blended.diff() >= 0).all()


def test_a_tile_larger_than_the_whole_is_refused() -> None:
    with pytest.raises(RenderArgumentError, match="no smaller than a tile"):
        Tiling.over((8, 8), (8, 16))
