"""Novel but similar views of a product from a single photo and its mask."""

from dataclasses import dataclass, field, replace
from math import ceil, radians, sin, tan
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from adloom.errors import MaskError
from adloom.imaging.edges import decontaminated
from training.augment.camera import FOV_DEG, Camera, Turn
from training.augment.gaussians import OPACITY, Gaussians, lift
from training.augment.heights import ReliefModel, silhouette_relief
from training.augment.rasterising import rasterised
from training.augment.splatting import project, splat

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
T = TypeVar("T", np.uint8, np.float32)

MARGIN = 0.2
"""Room around the product for what a turn brings to the side, in shares of its longer side."""

EMPTY, FULL = 0.1, 0.75
"""Coverages that count as nothing and as all: between the Gaussians of a surface lies less than 1,
beside its rim more than 0."""

FAINT = 13
"""A mask value from here on has a Gaussian: the soft edge is lifted, too."""

CRACK_PX = 3
"""Half the width up to which a gap in the surface is filled, px."""

SOFT_EDGE_PX = 3
OPACITY_STEPS, COLOUR_STEPS = 3, 5
SOFT = 0.98
"""Alpha below this is edge, and its opacity is fitted."""

HEADROOM = 0.3
"""How far beyond 0 and 1 a Gaussian's colour may go, for what its neighbours mix in."""


@dataclass(frozen=True, slots=True)
class NovelView:
    """A product seen from elsewhere, on white at the photo's size: picture (H, W, 3), mask (H, W).

    `filled` and `open`: gaps that the turn tore and that were filled from around them, and those
    that were too wide for that and show white, in shares of the product's area.
    """

    picture: Picture
    mask: Picture
    filled: float
    open: float


@dataclass(frozen=True, slots=True)
class Lifting:
    """How a photo is lifted. Photos whose product is longer than `longest_px` are lifted at that
    size; `rim_px` is how far the background's colour may reach into the product's edge."""

    relief: ReliefModel = field(default_factory=ReliefModel)
    longest_px: int = 512
    rim_px: int = 2


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of a photo that is lifted: `scale`d, from (`left`, `top`) on, which may be < 0."""

    left: int
    top: int
    width: int
    height: int
    scale: float


class LiftedProduct:
    """A product photo as Gaussians, to be seen from several sides.

    `photo` (H, W, 3) sRGB; `mask` (H, W), 255 = product; `relief` (H, W): heights towards the
    camera in px, such as a depth network's (`training.augment.depth`), instead of the silhouette's.
    Raises MaskError where photo and mask do not belong together or there is no product.
    """

    def __init__(
        self,
        photo: Picture,
        mask: Picture,
        lifting: Lifting | None = None,
        relief: Plane | None = None,
    ) -> None:
        lifting = lifting or Lifting()
        _check(photo, mask)
        self._size = mask.shape
        self._window = _window(mask, lifting.longest_px)
        clean = decontaminated(photo, mask, lifting.rim_px, beyond_px=2)
        colours, small = (_cut(p, self._window) for p in (clean, mask))
        solid = small >= 128
        self.camera = _camera(solid)
        if relief is None:
            guessed = silhouette_relief(small, lifting.relief)
            height = guessed.height
            if not guessed.flat:
                self.camera = replace(self.camera, pivot_px=_behind_outline(solid, self.camera))
        else:
            scaled = _cut(relief, self._window) * np.float32(self._window.scale)
            height = np.where(solid, scaled, 0).astype(np.float32)
        lifted = lift(colours, small >= FAINT, solid, _widened(height, solid), self.camera)
        self._enclosed_px = np.count_nonzero(_enclosed(~solid))
        self._gaps, self._thickest_px = _narrow_gaps(solid), float(height.max())
        self.gaussians = _fitted(lifted, self.camera, small)

    def view(self, turn: Turn, device: str = "cpu") -> NovelView:
        """The product turned. On a CUDA `device` gsplat renders it, if it is installed."""
        colours, coverage = rasterised(self.gaussians, turn.matrix(), self.camera, device)
        alpha = np.clip((coverage - EMPTY) / (FULL - EMPTY), 0, 1)
        picture = np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
        reach = ceil(self._thickest_px * abs(sin(turn.angle()))) + 1
        picture, alpha, filled_px = _without_cracks(picture, alpha, _grown(self._gaps, reach))
        product = max(np.count_nonzero(alpha >= 0.5), 1)
        open_px = max(np.count_nonzero(_enclosed(alpha < 0.5)) - self._enclosed_px, 0)
        mixed = 255 + (picture.astype(np.float32) - 255) * alpha[..., None]
        whole, cover = _put_back(mixed, alpha, self._window, self._size)
        return NovelView(
            np.rint(whole).clip(0, 255).astype(np.uint8),
            np.rint(cover * 255).clip(0, 255).astype(np.uint8),
            filled_px / product,
            open_px / product,
        )


def _check(photo: Picture, mask: Picture) -> None:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.shape[:2] != mask.shape:
        raise MaskError(
            f"a photo of shape {photo.shape} and a mask of shape {mask.shape} do not belong "
            "together",
            hint="give an (H, W, 3) photo and an (H, W) mask of the same size",
        )
    if np.count_nonzero(mask >= 128) < 16:
        raise MaskError("the mask is empty", hint="give a mask with the product white on black")


def _window(mask: Picture, longest_px: int) -> _Window:
    ys, xs = (np.flatnonzero((mask >= 128).any(axis)) for axis in (1, 0))
    left, right, top, bottom = int(xs[0]), int(xs[-1]) + 1, int(ys[0]), int(ys[-1]) + 1
    longest = max(right - left, bottom - top)
    margin = ceil(MARGIN * longest) + 2
    return _Window(
        left - margin,
        top - margin,
        right - left + 2 * margin,
        bottom - top + 2 * margin,
        min(1.0, longest_px / longest),
    )


def _cut(plane: NDArray[T], window: _Window) -> NDArray[T]:
    """The window of a plane or picture; its border goes on where the window reaches beyond."""
    height, width = plane.shape[:2]
    right, bottom = window.left + window.width, window.top + window.height
    before = max(-window.top, 0), max(-window.left, 0)
    after = max(bottom - height, 0), max(right - width, 0)
    inner = plane[max(window.top, 0) : bottom, max(window.left, 0) : right]
    border = cv2.BORDER_REPLICATE if plane.ndim == 3 else cv2.BORDER_CONSTANT
    padded = cv2.copyMakeBorder(inner, before[0], after[0], before[1], after[1], border, value=0)
    if window.scale == 1.0:
        return np.asarray(padded, plane.dtype)
    size = round(window.width * window.scale), round(window.height * window.scale)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), plane.dtype)


def _camera(inside: NDArray[np.bool_]) -> Camera:
    ys, xs = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    longest = max(xs[-1] - xs[0], ys[-1] - ys[0]) + 1
    height, width = inside.shape
    focal_px = float(longest) / (2 * tan(radians(FOV_DEG / 2)))
    centre = (xs[0] + xs[-1] + 1) / 2, (ys[0] + ys[-1] + 1) / 2
    return Camera(width, height, focal_px, float(centre[0]), float(centre[1]))


def _widened(height: Plane, solid: NDArray[np.bool_]) -> Plane:
    """The heights, continued over the soft edge around the solid product."""
    near = np.ones((2 * SOFT_EDGE_PX + 1, 2 * SOFT_EDGE_PX + 1), np.uint8)
    return np.where(solid, height, cv2.dilate(height, near)).astype(np.float32)


def _behind_outline(solid: NDArray[np.bool_], camera: Camera) -> float:
    """How far a round body's axis lies behind its outline, px: where the rays touch it."""
    columns = np.flatnonzero(solid.any(axis=0))
    radius = (columns[-1] + 1 - columns[0]) / 2
    return float(radius**2 / np.hypot(camera.focal_px, radius))


def _fitted(lifted: Gaussians, camera: Camera, mask: Picture) -> Gaussians:
    """The Gaussians whose unturned picture is the photo and its mask.

    Neighbouring Gaussians overlap, which would blur the photo and widen the mask; Van Cittert's
    iteration takes the difference back, first of the soft edge's opacities, then of the colours.
    """
    place = torch.from_numpy(mask >= FAINT)
    alpha = torch.from_numpy(mask.astype(np.float32) / 255)[place]
    footprints = project(lifted, torch.eye(3), camera)
    opacity = lifted.opacities[: lifted.pixels] * alpha
    for _ in range(OPACITY_STEPS):
        splats = splat(footprints.seen_as(lifted.with_opacities(opacity)), camera)
        error = EMPTY + (FULL - EMPTY) * alpha - splats.coverage()[place]
        opacity = torch.where(alpha < SOFT, (opacity + error).clamp(0.01, OPACITY), opacity)
    lifted = lifted.with_opacities(opacity)
    splats = splat(footprints.seen_as(lifted), camera)
    photo, fitted = lifted.colours[: lifted.pixels], lifted
    for _ in range(COLOUR_STEPS):
        error = photo - splats.colours(fitted.colours)[place]
        room = HEADROOM
        changed = (fitted.colours[: lifted.pixels] + error).clamp(-room, 1 + room)
        fitted = fitted.with_colours(changed)
    return fitted


def _without_cracks(
    picture: Picture, alpha: Plane, meant: NDArray[np.bool_]
) -> tuple[Picture, Plane, int]:
    """Picture and alpha with narrow gaps in the product filled from around them, and their px.

    Gaps at `meant` places are the product's own: a handle's eye, a slit.
    """
    solid = alpha >= 0.5
    cracks = _narrow_gaps(solid) & ~meant
    count = int(np.count_nonzero(cracks))
    if count:
        spots = cracks.astype(np.uint8)
        picture = np.asarray(cv2.inpaint(picture, spots, 2, cv2.INPAINT_TELEA), np.uint8)
        solid = solid | cracks
    # Within the surface a coverage below 1 lies between Gaussians; only at its edge is it meant.
    inner = cv2.erode(solid.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return picture, np.where(inner | cracks, np.float32(1), alpha), count


def _narrow_gaps(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of the enclosed background is at most 2·CRACK_PX wide; notches of the outline are not
    enclosed."""
    side = 2 * CRACK_PX + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(solid.astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0
    return closed & _enclosed(~solid)


def _enclosed(background: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The background that the product surrounds."""
    _, labels = cv2.connectedComponents(background.astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return background & ~np.isin(labels, outside)


def _grown(region: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    if not region.any():
        return region
    side = 2 * radius + 1
    return cv2.dilate(region.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _put_back(
    picture: Plane, alpha: Plane, window: _Window, size: tuple[int, ...]
) -> tuple[Plane, Plane]:
    """Picture and alpha of the window on white at the photo's size."""
    if window.scale < 1:
        full = window.width, window.height
        picture, alpha = (
            np.asarray(cv2.resize(p, full, interpolation=cv2.INTER_CUBIC), np.float32)
            for p in (picture, alpha)
        )
    height, width = size
    whole = np.full((height, width, 3), 255, np.float32)
    cover = np.zeros((height, width), np.float32)
    x0, y0 = max(window.left, 0), max(window.top, 0)
    x1, y1 = min(window.left + window.width, width), min(window.top + window.height, height)
    source = np.s_[y0 - window.top : y1 - window.top, x0 - window.left : x1 - window.left]
    whole[y0:y1, x0:x1], cover[y0:y1, x0:x1] = picture[source], alpha[source]
    return whole, cover
