"""Which renderer draws the Gaussians: gsplat's kernels on CUDA, this project's torch elsewhere."""

from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment.camera import Camera
from training.augment.gaussians import Gaussians
from training.augment.splatting import FACING, LOW_PASS_PX2, project, rotated, splat

Plane = NDArray[np.float32]


def rasterised(
    gaussians: Gaussians, rotation: Tensor, camera: Camera, device: str = "cpu"
) -> tuple[Plane, Plane]:
    """Colours (H, W, 3), the weighted mean of what is seen, and coverage (H, W), both in [0, 1]."""
    if torch.device(device).type == "cuda" and find_spec("gsplat") is not None:
        return _by_gsplat(gaussians, rotation, camera, device)
    splats = splat(project(gaussians, rotation, camera), camera)
    colours = splats.colours(gaussians.colours)
    return colours.numpy(), splats.coverage().numpy()


def _by_gsplat(
    gaussians: Gaussians, rotation: Tensor, camera: Camera, device: str
) -> tuple[Plane, Plane]:
    from gsplat import rasterization  # pyright: ignore[reportMissingImports]

    place = rotated(gaussians.means, rotation) + torch.tensor([0.0, 0.0, camera.distance_px])
    towards = -torch.nn.functional.normalize(place, dim=1)
    seen = (rotated(gaussians.normals, rotation) * towards).sum(1) > FACING
    view = torch.eye(4)
    view[:3, :3], view[2, 3] = rotation, camera.distance_px
    focal = camera.focal_px
    intrinsics = torch.tensor(
        [[focal, 0.0, camera.centre_x], [0.0, focal, camera.centre_y], [0.0, 0.0, 1.0]]
    )
    count = int(seen.sum())
    colours, alphas, _ = rasterization(
        means=gaussians.means[seen].to(device),
        quats=torch.zeros(count, 4, device=device),
        scales=torch.ones(count, 3, device=device),
        opacities=gaussians.opacities[seen].to(device),
        colors=gaussians.colours[seen].to(device),
        viewmats=view[None].to(device),
        Ks=intrinsics[None].to(device),
        width=camera.width,
        height=camera.height,
        eps2d=LOW_PASS_PX2,
        packed=False,
        covars=gaussians.covariances[seen].to(device),
    )
    coverage = alphas[0, ..., 0]
    mean = colours[0] / coverage.clamp_min(1e-6)[..., None]
    return mean.cpu().numpy(), coverage.cpu().numpy()
