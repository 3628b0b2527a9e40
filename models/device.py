"""What every network's device has in common: how much of it is taken, and how it fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from adloom.errors import DeviceError, OutOfMemoryError, first_line


def allocated_bytes(device: str) -> int:
    """Device memory in use by tensors of this process; 0 where there is no CUDA device."""
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return 0
    return int(torch.cuda.memory_allocated(device))


def free_unused(device: torch.device) -> None:
    """Gives back what torch holds unused, in pieces too small for the next try."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def device_errors(
    device: torch.device, too_large: Callable[[], OutOfMemoryError]
) -> Iterator[None]:
    """Raises torch's errors of the device as ours: `too_large()` where memory ran out, DeviceError
    where the device failed. Without it they would count as the picture's own fault."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise too_large() from error
    except torch.AcceleratorError as error:
        raise DeviceError(
            f"it failed: {first_line(error)}",
            where=str(device),
            hint="start this process again; what it had not stored is rendered again",
        ) from error
