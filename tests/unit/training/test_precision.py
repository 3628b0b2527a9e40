"""bfloat16 where the processor has it."""

from pathlib import Path

import pytest
import torch

from training.precision import has_bfloat16, in_bfloat16, is_emulated


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [
        ({"architecture": "x86_64", "avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True}, True),
        ({"architecture": "x86_64", "amx_bf16": True}, True),
        ({"architecture": "aarch64", "neon": True, "bf16": False}, False),
        ({"architecture": "aarch64", "neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_a_processor_has_it_by_its_instructions(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool | str], has: bool
) -> None:
    assert has_bfloat16(capabilities) is has
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    weight = torch.ones(2, 2)
    with in_bfloat16("cpu"):
        assert (weight @ weight).dtype == (torch.bfloat16 if has else torch.float32)
    with in_bfloat16("cpu", asked=False):
        assert (weight @ weight).dtype == torch.float32
    assert is_emulated("cpu") is not has
    assert not is_emulated(torch.device("cuda"))


CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPUINFO.is_file(), reason="Linux says what its processor has")
def test_this_processor_has_it_where_the_system_says_so() -> None:
    flags = set(CPUINFO.read_text().split())
    assert has_bfloat16() is bool(flags & {"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
