"""The canonical reference frame and where it lies on the canvas.

A reference picture shows the product cropped to its mask's bounding box, its longer side scaled
to CANONICAL_FILL of a white square. The *product frame* of a placed product is that same square
on the native canvas: (cx, cy, side) in native pixels. Positions measured in it, u in
[-0.5, 0.5]^2 inside the square, are the same for the reference and for the placed product.
"""

from math import pi

import torch
from torch import Tensor


def grid_positions(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Centres (H*W, 2) of a grid's cells as (x, y) in cells, row by row."""
    y = torch.arange(height, device=device, dtype=torch.float32) + 0.5
    x = torch.arange(width, device=device, dtype=torch.float32) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)


def reference_positions(side: int, device: torch.device | None = None) -> Tensor:
    """u (N, 2) of the tokens of a reference of side x side tokens."""
    return grid_positions(side, side, device) / side - 0.5


def generation_positions(frames: Tensor, height: int, width: int, token_px: float) -> Tensor:
    """u (B, H*W, 2) of the tokens of a canvas, each `token_px` native pixels wide, for the
    product frames (B, 3) = (cx, cy, side) in native pixels."""
    pixels = grid_positions(height, width, frames.device) * token_px
    return (pixels[None] - frames[:, None, :2]) / frames[:, None, 2:]


def fourier(positions: Tensor, frequencies: int) -> Tensor:
    """(..., 2) -> (..., 4 * frequencies): cosine and sine of w_j u_x and w_j u_y with
    w_j = 2 pi 2^(j-2). So phi(u) . phi(u') = sum_j cos(w_j du_x) + cos(w_j du_y), which peaks
    where u = u' and, the lowest frequency having period 4, nowhere else on the canvas."""
    w = 2 * pi * 2.0 ** (torch.arange(frequencies, device=positions.device) - 2)
    angles = positions[..., None] * w  # (..., 2, frequencies)
    return torch.cat([angles.cos(), angles.sin()], dim=-1).flatten(-2)
