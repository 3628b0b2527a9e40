"""The floor under a picture's time: counted FLOPs over the device's measured matrix rate."""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

SIDES = {"cpu": 1024, "cuda": 8192}


def flops(work: Callable[[], object]) -> int:
    """Of the matrix products, convolutions and attentions that `work` does (2 per multiply-add)."""
    counter = FlopCounterMode(display=False)
    # The CPU's fused attention has no formula: count it as the two products that it is.
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()


def matrix_rate(device: str, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """FLOP/s of large square matrix products in `dtype`, the best of several rounds."""
    side = SIDES["cuda" if device.startswith("cuda") else "cpu"]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(4):
        best = max(best, _rate(a, b, seconds / 4, device))
    return best


def synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _rate(a: Tensor, b: Tensor, seconds: float, device: str) -> float:
    a @ b
    synchronize(device)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(4):
            a @ b
        synchronize(device)
        count += 4
    return count * 2 * len(a) ** 3 / (time.perf_counter() - started)
