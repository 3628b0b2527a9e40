"""Small geometric warps of a picture and its mask: perspective, and a thin plate bent."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]

GRID = np.stack(np.meshgrid([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]), -1).reshape(-1, 2)
"""The thin plate's nine control points, in shares of the picture's (width, height)."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
NOWHERE = (0.0,) * 8
FLAT = (0.0,) * 18
_EVERY_PX = 8  # a bent plate is smooth: it is evaluated at every so many px, and interpolated


@dataclass(frozen=True, slots=True)
class Warp:
    """How far points move, in shares of the picture's longer side: `corners` are the four corners'
    (dx, dy) from top left clockwise, `bend` those of the nine GRID points in row order."""

    corners: tuple[float, ...] = NOWHERE
    bend: tuple[float, ...] = FLAT

    @property
    def is_identity(self) -> bool:
        return not any(self.corners) and not any(self.bend)


def warped(picture: Picture, mask: Picture, warp: Warp) -> tuple[Picture, Picture]:
    """The picture (H, W, 3), white where nothing comes from, and its mask (H, W), both warped."""
    if warp.is_identity:
        return picture, mask
    height, width = mask.shape
    longest = max(height, width)
    size = np.array([width, height], float)
    steps = [np.append(np.arange(0, n - 1, _EVERY_PX), n - 1) for n in (width, height)]
    at = np.stack(np.meshgrid(*steps), -1).reshape(-1, 2).astype(float) + 0.5
    at = _straightened(at, CORNERS * size, np.reshape(warp.corners, (4, 2)) * longest)
    moved = GRID * size + np.reshape(warp.bend, (9, 2)) * longest
    source = thin_plate(moved, GRID * size, at) - 0.5
    coarse = source.reshape(len(steps[1]), len(steps[0]), 2)
    across, down = _interpolated(coarse, steps[0], steps[1])
    maps = across.astype(np.float32), down.astype(np.float32)
    drawn = cv2.remap(
        picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=(255,) * 3
    )
    cover = cv2.remap(mask, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(drawn, np.uint8), np.asarray(cover, np.uint8)


def thin_plate(points: Points, values: Points, at: Points) -> Points:
    """The thin-plate spline through `values` (N, D) at `points` (N, 2), evaluated `at` (M, 2).

    Bookstein, "Principal warps", 1989: least bending energy; affine maps are exact.
    """
    scale = np.ptp(points, axis=0).max()
    centre = points.mean(0)
    p, q = (points - centre) / scale, (at - centre) / scale
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bending(p, p)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = p
    system[count + 1 :, :count] = p.T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, values.shape[1]))]))
    basis = np.concatenate([_bending(q, p), np.ones((len(q), 1)), q], 1)
    return np.einsum("mn,nd->md", basis, weights)


def _bending(a: Points, b: Points) -> Points:
    """r² log r² between all pairs."""
    r2 = ((a[:, None] - b[None]) ** 2).sum(-1)
    return r2 * np.log(np.maximum(r2, 1e-300))


def _straightened(at: Points, corners: Points, moved: Points) -> Points:
    """Where the points `at` come from, if the corners were moved by perspective."""
    if not moved.any():
        return at
    back = cv2.getPerspectiveTransform(
        (corners + moved).astype(np.float32), corners.astype(np.float32)
    )
    return np.asarray(cv2.perspectiveTransform(at[None], back), float)[0]


def _interpolated(
    coarse: Points, columns: NDArray[np.integer], rows: NDArray[np.integer]
) -> tuple[Points, Points]:
    """The (h, w, 2) values at the rows and columns given, linearly at every row and column."""
    every_row, every_column = np.arange(rows[-1] + 1), np.arange(columns[-1] + 1)
    planes: list[Points] = []
    for plane in (coarse[..., 0], coarse[..., 1]):
        wide = np.stack([np.interp(every_column, columns, line) for line in plane])
        lower = np.clip(np.searchsorted(rows, every_row, "right") - 1, 0, max(len(rows) - 2, 0))
        upper = np.minimum(lower + 1, len(rows) - 1)
        share = (every_row - rows[lower]) / np.maximum(rows[upper] - rows[lower], 1)
        planes.append(wide[lower] * (1 - share[:, None]) + wide[upper] * share[:, None])
    return planes[0], planes[1]
