"""What `RefAdGenPipeline.render` refuses, each error naming the argument and the mend."""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor

from adloom.errors import RenderArgumentError

MAX_STEPS = 1000


def refuse(argument: str, message: str, hint: str) -> RenderArgumentError:
    return RenderArgumentError(message, where=argument, hint=hint)


def check_pictures(images: Tensor, side: int) -> None:
    """Reference pictures: (P, 3, side, side) float in [0, 1]."""
    if images.ndim != 4 or len(images) == 0 or tuple(images.shape[1:]) != (3, side, side):
        raise refuse(
            "images",
            f"shape {tuple(images.shape)} instead of (P, 3, {side}, {side})",
            "bring each product picture into the canonical frame at that size",
        )
    _check_unit_range("images", images)


def check_masks(masks: Tensor, unit: int) -> None:
    """Native masks (B, 1, H, W) in [0, 1], H and W multiples of `unit`, none of them empty."""
    if masks.ndim != 4 or masks.shape[1] != 1 or len(masks) == 0:
        raise refuse("masks", f"shape {tuple(masks.shape)}", "give (B, 1, H, W), one per sample")
    height, width = masks.shape[-2:]
    if height % unit or width % unit or not height or not width:
        raise refuse(
            "masks",
            f"the model cannot render {width}x{height} px",
            f"width and height must be multiples of {unit} px",
        )
    _check_unit_range("masks", masks)
    empty = [i for i, m in enumerate(masks) if float(m.max()) < 0.5]
    if empty:
        raise refuse("masks", f"mask {empty[0]} is empty", "place the product on the canvas")


def check_frames(frames: Tensor, batch: int) -> None:
    """Product frames (B, 3) = (cx, cy, side) in native pixels, side > 0."""
    if tuple(frames.shape) != (batch, 3):
        raise refuse(
            "frames", f"shape {tuple(frames.shape)} for {batch} masks", "give (cx, cy, side) each"
        )
    if not bool(torch.isfinite(frames).all()) or bool((frames[:, 2] <= 0).any()):
        raise refuse("frames", "not finite or a side that is not positive", "give native pixels")


def check_lengths(batch: int, **lists: Sequence[object]) -> None:
    for name, values in lists.items():
        if len(values) != batch:
            raise refuse(name, f"{len(values)} given for {batch} masks", "give one per sample")


def check_sampler(steps: int, guidance_scale: float, reference_scale: float) -> None:
    if not 1 <= steps <= MAX_STEPS:
        raise refuse("steps", f"{steps} steps", f"give 1 to {MAX_STEPS}")
    if not isfinite(guidance_scale) or guidance_scale < 1:
        raise refuse("guidance_scale", f"{guidance_scale}", "give 1 (no guidance) or more")
    if not isfinite(reference_scale) or reference_scale < 0:
        raise refuse("reference_scale", f"lambda is {reference_scale}", "give 0 or more")


def check_seeds(seeds: Sequence[int]) -> None:
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise refuse("seeds", f"seed {seed}", "give integers from 0 to 2**63 - 1")


def _check_unit_range(argument: str, x: Tensor) -> None:
    if not bool(torch.isfinite(x).all()):
        raise refuse(argument, "holds NaN or infinite values", "give finite values in [0, 1]")
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise refuse(argument, f"values from {low:.3g} to {high:.3g}", "scale them to [0, 1]")
