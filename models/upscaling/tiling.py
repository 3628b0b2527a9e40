"""A network over a large picture, window by window, as if it had seen all of it at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """Along one axis: what the network sees, `start` to `stop`, and what of it is kept."""

    start: int
    stop: int
    kept_from: int
    kept_to: int


def windows(length: int, side: int, margin: int) -> Iterator[Window]:
    """Windows of one length, min(side, length), whose kept parts follow each other without a gap.

    What is kept lies at least `margin` from a window's edge, but for the picture's own edges. So a
    network that looks no further than `margin` gives the same as over the whole.
    """
    if length <= side:
        yield Window(0, length, 0, length)
        return
    step = side - 2 * margin
    done = 0
    while done < length:
        start = min(max(0, done - margin), length - side)
        kept_to = length if start + side == length else start + side - margin
        yield Window(start, start + side, done, kept_to)
        done = max(kept_to, done + step) if kept_to < length else length


def by_windows(
    network: Callable[[Floats], Floats], picture: Floats, scale: int, side: int, margin: int
) -> Floats:
    """(3, H, W) -> (3, scale H, scale W). network: (1, 3, h, w) -> (1, 3, scale h, scale w).

    A picture that is smaller than `side` is seen in one piece, at its own size.
    """
    height, width = picture.shape[1:]
    whole = np.empty((3, scale * height, scale * width), np.float32)
    for rows in windows(height, side, margin):
        for columns in windows(width, side, margin):
            part = picture[:, rows.start : rows.stop, columns.start : columns.stop]
            made = network(np.ascontiguousarray(part[None]))[0]
            whole[
                :,
                scale * rows.kept_from : scale * rows.kept_to,
                scale * columns.kept_from : scale * columns.kept_to,
            ] = made[
                :,
                scale * (rows.kept_from - rows.start) : scale * (rows.kept_to - rows.start),
                scale * (columns.kept_from - columns.start) : scale
                * (columns.kept_to - columns.start),
            ]
    return whole
