"""A process that renders on a CPU keeps what it frees."""

import subprocess
import sys

import pytest

from models.device import keep_freed_memory

FAULTS = """
import resource, sys
import torch
from models.device import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
torch.set_num_threads(1)
torch.manual_seed(0)
pairs = [(torch.nn.Conv2d(64, 64, 3, padding=1), torch.nn.SiLU()) for _ in range(6)]
network = torch.nn.Sequential(*[layer for pair in pairs for layer in pair])
noise = torch.randn(16, 64, 64, 64)

def render():
    with torch.no_grad():
        for _ in range(2):
            network(noise)

render()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
render()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_freed_blocks_are_used_again_without_page_faults() -> None:
    plain, kept = faults("plain"), faults("kept")
    assert kept < plain, (kept, plain)


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
