"""The number formats and devices that networks run in, by the names that settings use."""

import torch

from adloom.errors import ModelError, first_line

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def dtype_named(name: str) -> torch.dtype:
    """ModelError for a name that is none."""
    if name not in DTYPES:
        raise ModelError(f"dtype {name!r}", where="dtype", hint=f"one of {', '.join(DTYPES)}")
    return DTYPES[name]


def check_device(name: str) -> None:
    """ModelError for a device that this machine or this build of torch lacks."""
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:  # CPU builds of torch assert
        raise ModelError(
            f"device {name!r} cannot be used: {first_line(error)}",
            where="device",
            hint="use cpu, or install a build of torch for this device",
        ) from error
