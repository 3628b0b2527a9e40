"""How far a product bulges towards the camera, from its silhouette alone.

Inside the silhouette the Poisson equation Δh = -1 with h = 0 on the rim gives a smooth hill whose
square root has the round rim of a body seen from the front: exactly a cylinder for a long strip,
exactly a sphere for a disc (after "Repoussé", Joshi and Carr, 2008). A silhouette that is its own
mirror image is taken for a turned body's, upright: each of its rows is a circle's. Boxes are flat.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling
from scipy.ndimage import distance_transform_edt, gaussian_filter1d
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from adloom.errors import MaskError

Height = NDArray[np.float32]
Bool = NDArray[np.bool_]

SOLVED_PX = 192
"""Longer side at which the equation is solved; the hill is smooth and is scaled up from there."""

RECTANGULAR = 0.985
"""From this share of its least rectangle on a silhouette is a box's front. Cans stay below: their
rims are seen as ellipses."""


SYMMETRIC = 0.96
"""From this IoU with its mirror image on a silhouette is a turned body's."""

ROW_SIGMA_PX = 2.0


@dataclass(frozen=True, slots=True)
class Relief:
    """A product's front: `height` (H, W), px towards the camera from the middle plane, 0 outside
    the silhouette; `flat` for a box's front. The back is the front's mirror image."""

    height: Height
    flat: bool


@dataclass(frozen=True, slots=True)
class ReliefModel:
    """How a relief is guessed, in shares of the silhouette's greatest inscribed radius: half the
    thickness of a round body (1 would be as deep as it is wide), what caps it, and half the
    thickness of a box."""

    roundness: float = 0.7
    thickest: float = 1.0
    box_depth: float = 0.5


def silhouette_relief(mask: NDArray[np.uint8], model: ReliefModel | None = None) -> Relief:
    """The relief of a product with the (H, W) mask, 255 = product. Raises MaskError if empty."""
    model = model or ReliefModel()
    inside = mask >= 128
    radius = inscribed_radius(inside)
    if radius <= 0:
        raise MaskError("the mask is empty", hint="give a mask with the product white on black")
    if is_rectangular(inside):
        return Relief((inside * np.float32(model.box_depth * radius)).astype(np.float32), True)
    if mirror_symmetry(inside) >= SYMMETRIC:
        height = model.roundness * np.minimum(np.sqrt(_circles(inside)), radius)
    else:
        root = np.sqrt(np.maximum(_hill(inside), 0))
        # At roundness 1 this scale makes cylinder and sphere exact: as deep as wide at the widest.
        height = root * (model.roundness * radius / max(float(root.max()), 1e-6))
    capped = np.minimum(height, model.thickest * radius)
    return Relief(np.where(inside, capped, 0).astype(np.float32), False)


def inscribed_radius(inside: Bool) -> float:
    """The radius of the largest circle inside, px; 0 for an empty mask."""
    distance = distance_transform_edt(np.pad(inside, 1))
    return max(float(np.asarray(distance).max()) - 0.5, 0.0)


def is_rectangular(inside: Bool) -> bool:
    """Whether the silhouette fills its least rectangle."""
    points = cv2.findNonZero(inside.astype(np.uint8))
    if points is None:
        return False
    (_, (width, height), _) = cv2.minAreaRect(points)
    area = (width + 1) * (height + 1)  # from the outermost centres to the outermost edges
    return bool(np.count_nonzero(inside) / area >= RECTANGULAR)


def mirror_symmetry(inside: Bool) -> float:
    """IoU of a silhouette with its mirror image about the upright through its middle."""
    columns = np.flatnonzero(inside.any(axis=0))
    if not len(columns):
        return 0.0
    across = inside[:, columns[0] : columns[-1] + 1]
    mirrored = across[:, ::-1]
    return float(np.count_nonzero(across & mirrored) / np.count_nonzero(across | mirrored))


def _circles(inside: Bool) -> Height:
    """r² - (x - c)² of each row's runs: the squared height of a body that stands upright."""
    padded = np.pad(inside, ((0, 0), (1, 1))).astype(np.int8)
    rows, starts = np.nonzero(np.diff(padded, axis=1) == 1)
    _, ends = np.nonzero(np.diff(padded, axis=1) == -1)
    length = ends - starts
    run = np.repeat(np.arange(len(rows)), length)
    x = np.arange(len(run)) - np.repeat(np.cumsum(length) - length, length)
    squared = np.zeros(inside.shape, np.float32)
    squared[rows[run], starts[run] + x] = (x + 0.5) * (length[run] - x - 0.5)
    # Rows end at whole px: without smoothing the surface would be ribbed.
    weight = gaussian_filter1d(inside.astype(np.float32), ROW_SIGMA_PX, axis=0)
    smooth = gaussian_filter1d(squared, ROW_SIGMA_PX, axis=0) / np.maximum(weight, 1e-6)
    return np.where(inside, np.maximum(smooth, 0), 0).astype(np.float32)


def _hill(inside: Bool) -> Height:
    """h of Δh = -1, up to a factor, at the mask's size."""
    height, width = inside.shape
    scale = min(1.0, SOLVED_PX / max(height, width))
    if scale == 1.0:
        return solve_poisson(inside)
    size = max(round(width * scale), 3), max(round(height * scale), 3)
    # Pillow's resizing: the last bits of OpenCV's depend on the number of its threads.
    area = np.asarray(Image.fromarray(inside.astype(np.float32)).resize(size, Resampling.BOX))
    small = area >= 0.5 if (area >= 0.5).any() else area > 0
    solved = Image.fromarray(solve_poisson(small))
    grown = solved.resize((width, height), Resampling.BILINEAR)
    # What lies inside only at full size touches the rim: it is as thin as can be, but not absent.
    return np.maximum(np.asarray(grown, np.float32), 0.25 * inside)


def solve_poisson(inside: Bool) -> Height:
    """h (H, W) with Δh = -1 inside (five-point stencil, px) and 0 outside."""
    number = np.full(tuple(n + 2 for n in inside.shape), -1)
    number[1:-1, 1:-1][inside] = np.arange(np.count_nonzero(inside))
    here = number[1:-1, 1:-1][inside]
    rows, columns = [here], [here]
    for neighbour in (number[:-2, 1:-1], number[2:, 1:-1], number[1:-1, :-2], number[1:-1, 2:]):
        there = neighbour[inside]
        rows.append(here[there >= 0])
        columns.append(there[there >= 0])
    values = np.full(sum(map(len, rows)), -1.0)
    values[: len(here)] = 4.0
    place = np.concatenate(rows), np.concatenate(columns)
    matrix = coo_array((values, place), shape=(len(here), len(here))).tocsc()
    result = np.zeros(inside.shape, np.float32)
    if len(here):
        solved = spsolve(matrix, np.ones(len(here)), permc_spec="MMD_AT_PLUS_A")
        result[inside] = np.asarray(solved, np.float32)
    return result
