"""Gaussians -> picture, by elliptical weighted average splatting in plain torch.

Each Gaussian's covariance is carried to the picture by the projection's Jacobian (Zwicker et al.,
"EWA splatting", 2001; Kerbl et al., "3D Gaussian splatting", 2023). All (pixel, Gaussian) pairs
that count are listed, sorted by pixel and depth, and composited front to back by one segmented
scan; nothing is tiled, approximated or out of order.
"""

from dataclasses import dataclass, replace
from math import log, sqrt

import torch
from torch import Tensor

from training.augment.camera import Camera
from training.augment.gaussians import Gaussians

LOW_PASS_PX2 = 0.02
"""Added to every footprint, px²: what is seen edge-on stays as wide as a hairline."""

FAINTEST = 1 / 255
"""An opacity below this is left out."""

FACING = 0.0
"""Least cosine between normal and view at which a Gaussian is drawn: its back is not seen."""

WINDOWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
"""Half sides of the windows of pixels in which footprints are looked for, px."""


@dataclass(frozen=True, slots=True)
class Splats:
    """What each Gaussian gives to each pixel: K pairs of flat `pixel` and `gaussian` numbers with
    their compositing `weight` (K,). Σ over a pixel's weights is its coverage."""

    camera: Camera
    pixel: Tensor
    gaussian: Tensor
    weight: Tensor

    def coverage(self) -> Tensor:
        """(H, W) in [0, 1]."""
        return self._summed(self.weight[:, None])[..., 0]

    def colours(self, colours: Tensor) -> Tensor:
        """(H, W, C): the weighted mean of the Gaussians' colours (N, C); 0 where none is seen."""
        total = self._summed(self.weight[:, None] * colours[self.gaussian])
        return total / self.coverage().clamp_min(1e-6)[..., None]

    def _summed(self, values: Tensor) -> Tensor:
        size = self.camera.height, self.camera.width
        flat = values.new_zeros(size[0] * size[1], values.shape[1])
        return flat.index_add(0, self.pixel, values).view(*size, values.shape[1])


@dataclass(frozen=True, slots=True)
class Footprints:
    """N Gaussians on the picture: `centre` (N, 2) px, `covariance` (N, 3) as xx, xy, yy in px²,
    `depth` (N,), `opacity` (N,), and which of the Gaussians they are, `gaussian` (N,)."""

    centre: Tensor
    covariance: Tensor
    depth: Tensor
    opacity: Tensor
    gaussian: Tensor

    def seen_as(self, gaussians: Gaussians) -> "Footprints":
        """The same footprints with the opacities of `gaussians`."""
        return replace(self, opacity=gaussians.opacities[self.gaussian])


def project(gaussians: Gaussians, rotation: Tensor, camera: Camera) -> Footprints:
    """The footprints of the Gaussians that face the camera, the product turned by `rotation`."""
    turned = rotated(gaussians.means, rotation)
    place = turned + turned.new_tensor([0.0, 0.0, camera.distance_px])
    towards = -torch.nn.functional.normalize(place, dim=1)
    facing = (rotated(gaussians.normals, rotation) * towards).sum(1) > FACING
    seen = torch.nonzero(facing & (place[:, 2] > 1e-3 * camera.focal_px))[:, 0]
    x, y, depth = place[seen].unbind(1)
    scale = camera.focal_px / depth
    jacobian = place.new_zeros(len(seen), 2, 3)
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = scale
    jacobian[:, 0, 2], jacobian[:, 1, 2] = -scale * x / depth, -scale * y / depth
    carried = _product(jacobian, rotation.expand(len(seen), 3, 3))
    spread = _product(_product(carried, gaussians.covariances[seen]), carried.mT)
    centre = torch.stack([scale * x + camera.centre_x, scale * y + camera.centre_y], 1)
    covariance = torch.stack([spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]], 1)
    widened = covariance + covariance.new_tensor([LOW_PASS_PX2, 0.0, LOW_PASS_PX2])
    return Footprints(centre, widened, depth, gaussians.opacities[seen], seen)


def rotated(vectors: Tensor, rotation: Tensor) -> Tensor:
    """(N, 3) turned. No matrix library is asked: its last bits depend on where memory lies, and the
    same product must give the same bytes."""
    return (vectors[:, None, :] * rotation).sum(-1)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """(N, I, J) times (N, J, K), to the same bits every time."""
    return (a[:, :, :, None] * b[:, None, :, :]).sum(2)


def splat(footprints: Footprints, camera: Camera) -> Splats:
    """The compositing weights of all footprints; differentiable by covariance and opacity."""
    pixel, which, alpha = _pairs(footprints, camera)
    rank = torch.empty_like(footprints.gaussian)
    rank[torch.argsort(footprints.depth, stable=True)] = torch.arange(len(rank))
    order = torch.argsort(pixel * len(rank) + rank[which])
    pixel, which, alpha = pixel[order], which[order], alpha[order]
    return Splats(
        camera, pixel, footprints.gaussian[which], alpha * _transmittance(pixel, alpha).float()
    )


def _transmittance(pixel: Tensor, alpha: Tensor) -> Tensor:
    """Π (1 - α) over the pairs of the same pixel before each, for pairs sorted by pixel."""
    absorbed = torch.log1p(-alpha.double())
    before = torch.cumsum(absorbed, 0) - absorbed
    _, counts = torch.unique_consecutive(pixel, return_counts=True)
    starts = torch.cumsum(counts, 0) - counts
    return torch.exp(before - torch.repeat_interleave(before[starts], counts))


def _pairs(footprints: Footprints, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """(K,) flat pixel numbers, footprint numbers and opacities of all pairs that count."""
    reach = sqrt(2 * log(1 / FAINTEST))
    radius = reach * footprints.covariance[:, (0, 2)].amax(1).sqrt()
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    smallest = 0.0
    for half in WINDOWS:
        last = half == WINDOWS[-1]
        chosen = (radius > smallest) & ((radius <= half) if not last else radius.isfinite())
        smallest = half
        if chosen.any():
            pairs.append(_window(footprints, torch.nonzero(chosen)[:, 0], half, camera))
    if not pairs:
        nothing = footprints.gaussian.new_zeros(0)
        return nothing, nothing, footprints.opacity.new_zeros(0)
    pixel, which, alpha = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return pixel, which, alpha


def _window(
    footprints: Footprints, chosen: Tensor, half: int, camera: Camera
) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs of the chosen footprints with the (2·half + 1)² pixels around their centres."""
    steps = torch.arange(-half, half + 1)
    centre, covariance = footprints.centre[chosen], footprints.covariance[chosen]
    nearest = torch.floor(centre).long()
    columns, rows = (nearest[:, i, None] + steps for i in (0, 1))
    dx = (columns + 0.5 - centre[:, :1])[:, None, :]
    dy = (rows + 0.5 - centre[:, 1:])[:, :, None]
    xx, xy, yy = (covariance[:, i, None, None] for i in range(3))
    distance = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / (xx * yy - xy**2).clamp_min(1e-12)
    alpha = (footprints.opacity[chosen, None, None] * torch.exp(-0.5 * distance)).clamp_max(0.999)
    within = ((columns >= 0) & (columns < camera.width))[:, None, :]
    within = within & ((rows >= 0) & (rows < camera.height))[:, :, None]
    which, row, column = torch.nonzero(within & (alpha >= FAINTEST), as_tuple=True)
    pixel = rows[which, row] * camera.width + columns[which, column]
    return pixel, chosen[which], alpha[which, row, column]
