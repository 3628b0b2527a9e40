"""Where training computes in bfloat16: where the hardware does. A processor that has to emulate it
takes several times as long as in float32 (docs/performance.md)."""

from collections.abc import Mapping
from typing import Final

import torch

NATIVE: Final = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Names of `torch.cpu.get_capabilities` for bfloat16's dot products, of x86 and of ARM."""


def has_bfloat16(capabilities: Mapping[str, bool | int | str] | None = None) -> bool:
    """Whether a processor multiplies bfloat16 itself: this one, or one of these capabilities."""
    found = torch.cpu.get_capabilities() if capabilities is None else capabilities
    return any(found.get(name) for name in NATIVE)


def is_emulated(device: torch.device | str) -> bool:
    """Whether bfloat16 costs more than float32 there. GPUs are taken to have it."""
    return torch.device(device).type == "cpu" and not has_bfloat16()


def in_bfloat16(device: torch.device | str, asked: bool = True) -> torch.autocast:
    """Autocast to bfloat16 where it is asked for and the device has it; elsewhere one that is
    off."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=asked and not is_emulated(device))
