"""What every network's device has in common: how much of it is taken."""

import torch


def allocated_bytes(device: str) -> int:
    """Device memory in use by tensors of this process; 0 where there is no CUDA device."""
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return 0
    return int(torch.cuda.memory_allocated(device))
