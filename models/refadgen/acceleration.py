"""Speed that changes nothing but the last bits: memory layout and compilation, as options."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

from adloom.errors import ModelError
from models.refadgen.forward import forward
from models.refadgen.unet import GenerationUNet

Compile = Literal["off", "default", "max-autotune-no-cudagraphs", "reduce-overhead"]
COMPILED_SHAPES = 64  # torch's own limit of 8 would leave the ninth native size uncompiled


@dataclass(frozen=True, slots=True)
class Acceleration:
    """channels_last: convolutions on (B, H, W, C) in memory, what a GPU's tensor cores want.

    compile: torch.compile of the Generation U-Net's forward with static shapes, so once for each
    native size and micro-batch size, in minutes; `default`, `max-autotune-no-cudagraphs` (the
    quickest kernels, searched for) or `reduce-overhead` (CUDA graphs: for small micro-batches,
    where launching kernels takes longer than running them; a GPU's alone).
    """

    channels_last: bool = False
    compile: Compile = "off"


NONE = Acceleration()


def accelerate(
    unet: GenerationUNet, others: tuple[nn.Module, ...], acceleration: Acceleration
) -> None:
    """Brings the U-Net, and for the memory layout the `others`, into this form.

    ModelError says why a form is not to be had here.
    """
    check_acceleration(acceleration, str(unet.device))
    if acceleration.channels_last:
        for network in (unet, *others):
            _to_channels_last(network)
    unet.run_by(_compiled(acceleration.compile))


def check_acceleration(acceleration: Acceleration, device: str) -> None:
    """ModelError for an unknown kind of compilation, or one that `device` lacks the means for."""
    kind = acceleration.compile
    if kind not in get_args(Compile):
        raise ModelError(
            f"no compilation {kind!r}",
            where="compile",
            hint=f"one of {', '.join(get_args(Compile))}",
        )
    if kind == "off":
        return
    on_cpu = device.startswith("cpu")
    if on_cpu and kind == "reduce-overhead":
        raise ModelError("CUDA graphs need a GPU", where=f"compile on {device}", hint="use default")
    if on_cpu and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise ModelError(
            "torch.compile needs a C++ compiler on a CPU, and finds none",
            where=f"compile on {device}",
            hint="install g++, or set compile to off",
        )


def _to_channels_last(network: nn.Module) -> None:
    to: Any = network.to
    to(memory_format=torch.channels_last)


def _compiled(kind: Compile) -> Callable[..., Any]:
    if kind == "off":
        return forward
    config: Any = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, COMPILED_SHAPES)
    return torch.compile(forward, dynamic=False, mode=kind)
