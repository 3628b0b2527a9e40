"""Windows: what is kept of them covers everything once, and is what the whole would have given."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.upscaling.tiling import Floats, by_windows, windows

REACH = 2


@given(
    length=st.integers(1, 300),
    side=st.integers(20, 90),
    margin=st.integers(0, 8),
)
def test_kept_parts_follow_each_other_and_keep_their_distance(
    length: int, side: int, margin: int
) -> None:
    found = list(windows(length, side, margin))
    assert [w.kept_from for w in found] == [0, *(w.kept_to for w in found[:-1])]
    assert found[-1].kept_to == length
    for w in found:
        assert 0 <= w.start <= w.kept_from < w.kept_to <= w.stop <= length
        assert w.stop - w.start == min(side, length)
        assert w.start == 0 or w.kept_from - w.start >= margin
        assert w.stop == length or w.stop - w.kept_to >= margin


def means_twice_as_large(part: Floats) -> Floats:
    """(1, 3, h, w): means over (2 REACH + 1)^2 px, 0 beyond the edge, each pixel four times."""
    height, width = part.shape[2:]
    padded = np.pad(part, ((0, 0), (0, 0), (REACH, REACH), (REACH, REACH)))
    across = range(2 * REACH + 1)
    total = sum(padded[:, :, y : y + height, x : x + width] for y in across for x in across)
    return np.repeat(np.repeat(np.asarray(total, np.float32), 2, axis=2), 2, axis=3)


@given(height=st.integers(1, 60), width=st.integers(1, 60), side=st.integers(5, 24))
def test_by_windows_gives_what_the_whole_gives(height: int, width: int, side: int) -> None:
    picture = np.random.default_rng(height * 61 + width).random((3, height, width), np.float32)
    whole = means_twice_as_large(picture[None])[0]
    assert np.array_equal(by_windows(means_twice_as_large, picture, 2, side, REACH), whole)
