"""What every network's device has in common: how much of it is taken, and how it fails."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from adloom.errors import DeviceError, OutOfMemoryError, first_line

KEPT_BYTES = 2**30  # what a process may keep of freed memory
KEPT_IN_TRAINING = 2**31 - 1  # the largest bound that mallopt takes
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)


def allocated_bytes(device: str) -> int:
    """Device memory in use by tensors of this process; 0 where there is no CUDA device."""
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return 0
    return int(torch.cuda.memory_allocated(device))


def memory_bytes(device: str) -> tuple[int, int] | None:
    """(free, all) of a CUDA device's memory, of all its processes; None for any other device."""
    if not device.startswith("cuda"):
        return None
    free, total = torch.cuda.mem_get_info(device)
    return int(free), int(total)


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


def keep_freed_memory(at_most: int = KEPT_BYTES) -> bool:
    """Lets this process keep up to `at_most` bytes at its heap's end of what it frees, for as long
    as it lives; False where the C library is not glibc.

    glibc hands large blocks back to the kernel at once. A render on a CPU takes and frees tens of
    megabytes in every layer and step, so that each first touch of a page is a fault: a fifth of the
    processor's time at `mini`'s shapes and batch 8.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    largest_threshold = 2**25  # glibc refuses more; larger blocks are still mapped one by one
    wanted = (
        (_M_TRIM_THRESHOLD, at_most),
        (_M_TOP_PAD, 2**26),
        (_M_MMAP_THRESHOLD, largest_threshold),
    )
    taken = [mallopt(parameter, value) == 1 for parameter, value in wanted]  # all are asked
    return all(taken)
