"""A product photo lifted into space: one Gaussian per pixel of its front, its back and its rim.

The Gaussian of a pixel lies in the surface: its covariance is spanned by the surface's tangents at
the pixel, σ²(t_u t_uᵀ + t_v t_vᵀ), so that the unturned camera sees it exactly as that pixel.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.augment.camera import Camera

SIGMA_PX = 0.45
"""Standard deviation of a pixel's Gaussian on the picture, px."""

OPACITY = 0.99
STEEPEST = 8.0
"""A slope (px of height per px) that a Gaussian follows; the rim closes what is steeper."""


@dataclass(frozen=True, slots=True)
class Gaussians:
    """N Gaussians about the product's centre, in the camera's axes.

    means (N, 3); covariances (N, 3, 3), px²; normals (N, 3), outwards, of length 1; colours (N, 3)
    in [0, 1]; opacities (N,). The first `pixels` are the photo's own pixels in row order of the
    mask they were lifted with.
    """

    means: Tensor
    covariances: Tensor
    normals: Tensor
    colours: Tensor
    opacities: Tensor
    pixels: int

    def __len__(self) -> int:
        return len(self.means)

    def with_colours(self, colours: Tensor) -> "Gaussians":
        """The same, the photo's own pixels in other colours (pixels, 3)."""
        return replace(self, colours=torch.cat([colours, self.colours[self.pixels :]]))

    def with_opacities(self, opacities: Tensor) -> "Gaussians":
        """The same, the photo's own pixels of other opacities (pixels,)."""
        return replace(self, opacities=torch.cat([opacities, self.opacities[self.pixels :]]))


def lift(
    photo: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    solid: NDArray[np.bool_],
    height: NDArray[np.float32],
    camera: Camera,
) -> Gaussians:
    """Front, back shell and rim of a product: photo (H, W, 3), the pixels `inside` its soft edge
    (H, W), those that are `solid`, and its height towards the camera (H, W) in px. The back mirrors
    the front in shape and colour; the rim closes what lies between, along the solid's edge."""
    rows, columns = np.nonzero(inside)
    front = _surface(inside, height, camera, rows, columns, side=1.0)
    back = _surface(inside, height, camera, rows, columns, side=-1.0)
    colours = torch.from_numpy(photo[rows, columns].astype(np.float32) / 255)
    rim = _rim(photo, solid, height, camera)
    means, covariances, normals, colour = (
        torch.cat(parts) for parts in zip((*front, colours), (*back, colours), rim, strict=True)
    )
    opacities = torch.full((len(means),), OPACITY)
    return Gaussians(means, covariances, normals, colour, opacities, pixels=len(rows))


def _surface(
    inside: NDArray[np.bool_],
    height: NDArray[np.float32],
    camera: Camera,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    side: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Means, covariances and normals of one side's pixels; `side` is 1 in front, -1 behind."""
    slope_x, slope_y = (side * s[rows, columns] for s in _slopes(inside, height))
    up = side * height[rows, columns]
    ray_x = (columns + 0.5 - camera.centre_x) / camera.focal_px
    ray_y = (rows + 0.5 - camera.centre_y) / camera.focal_px
    depth = camera.focal_px - up
    unit = depth / camera.focal_px
    # The derivatives of the point (ray_x, ray_y, 1)·depth by the pixel's column and row.
    across = np.stack([unit - ray_x * slope_x, -ray_y * slope_x, -slope_x], 1)
    down = np.stack([-ray_x * slope_y, unit - ray_y * slope_y, -slope_y], 1)
    means = np.stack([ray_x * depth, ray_y * depth, -up - camera.pivot_px], 1)
    normals = np.cross(down, across) * side  # towards the camera is negative z
    return _gaussians(means, across, down, normals)


def _gaussians(
    means: NDArray[np.floating],
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    normals: NDArray[np.floating],
) -> tuple[Tensor, Tensor, Tensor]:
    spans = torch.from_numpy(np.stack([first, second], 1).astype(np.float32))
    covariances = SIGMA_PX**2 * (spans[:, :, :, None] * spans[:, :, None, :]).sum(1)
    outwards = F.normalize(torch.from_numpy(normals.astype(np.float32)), dim=1)
    return torch.from_numpy(means.astype(np.float32)), covariances, outwards


def _slopes(
    inside: NDArray[np.bool_], height: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """∂height/∂column and /∂row from neighbours inside the silhouette, bounded by STEEPEST."""
    slopes: list[NDArray[np.float32]] = []
    for axis in (1, 0):
        step = np.diff(height, axis=axis)
        both = np.take(inside, range(1, inside.shape[axis]), axis) & np.take(
            inside, range(inside.shape[axis] - 1), axis
        )
        step, count = np.where(both, step, 0), both.astype(np.float32)
        pads = [[(0, 0), (0, 0)], [(0, 0), (0, 0)]]
        pads[0][axis], pads[1][axis] = (1, 0), (0, 1)
        total = np.pad(step, pads[0]) + np.pad(step, pads[1])
        known = np.pad(count, pads[0]) + np.pad(count, pads[1])
        slopes.append((total / np.maximum(known, 1)).astype(np.float32))
    steepness = np.hypot(*slopes)
    factor = np.minimum(1, STEEPEST / np.maximum(steepness, 1e-6))
    return slopes[0] * factor, slopes[1] * factor


def _rim(
    photo: NDArray[np.uint8],
    solid: NDArray[np.bool_],
    height: NDArray[np.float32],
    camera: Camera,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The wall between front and back along the silhouette, a Gaussian for every px of depth."""
    mask = solid.astype(np.float32)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    edge = solid & (cv2.erode(solid.astype(np.uint8), kernel, borderValue=0) == 0)
    rows, columns = np.nonzero(edge)
    smooth = cv2.GaussianBlur(mask, (0, 0), 2.0)
    outwards = -np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)])
    normal = outwards[:, rows, columns].T
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    levels = np.maximum(np.ceil(2 * height[rows, columns]).astype(int), 1)
    which = np.repeat(np.arange(len(rows)), levels)
    index = np.arange(len(which)) - np.repeat(np.cumsum(levels) - levels, levels)
    up = height[rows, columns][which] * ((2 * index + 1) / levels[which] - 1)
    x = (columns + 0.5 - camera.centre_x)[which] * (camera.focal_px - up) / camera.focal_px
    y = (rows + 0.5 - camera.centre_y)[which] * (camera.focal_px - up) / camera.focal_px
    zero = np.zeros(len(which))
    tangent = np.stack([-normal[which, 1], normal[which, 0], zero], 1)
    deep = np.stack([zero, zero, zero + 1], 1)
    outside = np.stack([normal[which, 0], normal[which, 1], zero], 1)
    colours = torch.from_numpy(photo[rows, columns][which].astype(np.float32) / 255)
    return *_gaussians(np.stack([x, y, -up - camera.pivot_px], 1), tangent, deep, outside), colours
