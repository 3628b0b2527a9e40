"""What `RefAdGenPipeline` refuses, each error naming the argument and the mend."""

from collections.abc import Mapping, Sequence, Sized
from math import isfinite
from numbers import Integral

import torch
from torch import Tensor, nn

from adloom.errors import ModelError, RenderArgumentError

MAX_STEPS = 1000
FRAMES = ("canonical", "aligned")


def refuse(argument: str, message: str, hint: str) -> RenderArgumentError:
    return RenderArgumentError(message, where=argument, hint=hint)


def check_pictures(images: Tensor, side: int) -> None:
    """Canonical reference pictures: (P, 3, side, side) float in [0, 1]."""
    if images.ndim != 4 or len(images) == 0 or tuple(images.shape[1:]) != (3, side, side):
        raise refuse(
            "images",
            f"shape {tuple(images.shape)} instead of (P, 3, {side}, {side})",
            "bring each product picture into the canonical frame at that size",
        )
    _check_unit_range("images", images)


def check_aligned_pictures(images: Tensor, unit: int) -> None:
    """Aligned reference pictures: (P, 3, H, W) float in [0, 1], of a native size."""
    if images.ndim != 4 or len(images) == 0 or images.shape[1] != 3:
        raise refuse(
            "images",
            f"shape {tuple(images.shape)} instead of (P, 3, H, W)",
            "give the product on white where it stands on the canvas, at the canvas' size",
        )
    _check_native("images", images.shape[-2], images.shape[-1], unit)
    _check_unit_range("images", images)


def check_masks(masks: Tensor, unit: int) -> None:
    """Native masks (B, 1, H, W) in [0, 1], H and W multiples of `unit`, none of them empty."""
    if masks.ndim != 4 or masks.shape[1] != 1 or len(masks) == 0:
        raise refuse("masks", f"shape {tuple(masks.shape)}", "give (B, 1, H, W), one per sample")
    _check_native("masks", masks.shape[-2], masks.shape[-1], unit)
    _check_unit_range("masks", masks)
    empty = [i for i, m in enumerate(masks) if float(m.max()) < 0.5]
    if empty:
        raise refuse("masks", f"mask {empty[0]} is empty", "place the product on the canvas")


def check_aligned(native: tuple[int, int] | None, masks: Tensor) -> None:
    """That references (native: height, width px) lie on the canvas of the masks (B, 1, H, W)."""
    canvas = masks.shape[-2], masks.shape[-1]
    if native != canvas:
        made = "for no canvas" if native is None else f"for {native[1]}x{native[0]} px"
        raise refuse(
            "references",
            f"made {made}, the masks are {canvas[1]}x{canvas[0]} px",
            "encode the product where it stands on this canvas",
        )


def check_frames(frames: Tensor | None, batch: int) -> None:
    """Product frames (B, 3) = (cx, cy, side) in native pixels, side > 0."""
    if frames is None:
        raise refuse(
            "frames", "not given, and this model has position features", "give (cx, cy, side) each"
        )
    if tuple(frames.shape) != (batch, 3):
        raise refuse(
            "frames", f"shape {tuple(frames.shape)} for {batch} masks", "give (cx, cy, side) each"
        )
    if not bool(torch.isfinite(frames).all()) or bool((frames[:, 2] <= 0).any()):
        raise refuse("frames", "not finite or a side that is not positive", "give native pixels")


def check_lengths(batch: int, **lists: Sized) -> None:
    for name, values in lists.items():
        if len(values) != batch:
            raise refuse(name, f"{len(values)} given for {batch} masks", "give one per sample")


def check_sampler(steps: int, guidance_scale: float, reference_scale: float) -> None:
    if not isinstance(steps, Integral) or not 1 <= steps <= MAX_STEPS:
        raise refuse("steps", f"{steps} steps", f"give 1 to {MAX_STEPS}")
    if not isfinite(guidance_scale) or guidance_scale < 1:
        raise refuse("guidance_scale", f"{guidance_scale}", "give 1 (no guidance) or more")
    if not isfinite(reference_scale) or reference_scale < 0:
        raise refuse("reference_scale", f"lambda is {reference_scale}", "give 0 or more")


def check_timesteps(timesteps: Tensor, trained: int) -> None:
    """A schedule's timesteps must be among the `trained` ones."""
    if int(timesteps.max()) >= trained:
        raise refuse(
            "steps",
            f"{len(timesteps)} steps begin at timestep {int(timesteps.max())}, beyond the last of "
            f"{trained}",
            "give fewer steps",
        )


def check_seeds(seeds: Sequence[int]) -> None:
    for seed in seeds:
        if not isinstance(seed, Integral) or not 0 <= seed < 2**63:
            raise refuse("seeds", f"seed {seed}", "give integers from 0 to 2**63 - 1")


def _check_unit_range(argument: str, x: Tensor) -> None:
    if not bool(torch.isfinite(x).all()):
        raise refuse(argument, "holds NaN or infinite values", "give finite values in [0, 1]")
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise refuse(argument, f"values from {low:.3g} to {high:.3g}", "scale them to [0, 1]")


def _check_native(argument: str, height: int, width: int, unit: int) -> None:
    if height % unit or width % unit or not height or not width:
        near = "x".join(str(max(1, round(n / unit)) * unit) for n in (width, height))
        raise refuse(
            argument,
            f"the model cannot render {width}x{height} px",
            f"width and height must be multiples of {unit} px, such as {near}",
        )


def check_weights(networks: Mapping[str, nn.Module]) -> None:
    """Refuse weights that are missing, NaN or infinite; ModelError names the tensor."""
    for component, network in networks.items():
        tensors = [*network.named_parameters(), *network.named_buffers()]
        for name, tensor in tensors:
            if tensor.is_meta:
                raise ModelError(
                    "the weights lack this tensor",
                    where=f"{component}.{name}",
                    hint="get the folder again: its files are not whole, or of another network",
                )
            if tensor.is_floating_point() and not _finite(tensor):
                bad = int((~torch.isfinite(tensor)).sum())
                raise ModelError(
                    f"{bad} of {tensor.numel()} values are NaN or infinite",
                    where=f"{component}.{name}",
                    hint="get these weights again, or those of an earlier training step",
                )


def _finite(tensor: Tensor) -> bool:
    """A sum is quick and spoilt by one bad value; only if it is, each value is looked at."""
    return isfinite(float(tensor.detach().sum(dtype=torch.float32))) or bool(
        torch.isfinite(tensor).all()
    )
