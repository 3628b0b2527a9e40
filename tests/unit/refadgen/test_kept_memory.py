"""A process that renders on a CPU keeps what it frees."""

import subprocess
import sys

import pytest

from models.device import keep_freed_memory

FAULTS = """
import resource, sys
import torch
from diffusers import UNet2DModel
from models.device import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
torch.set_num_threads(1)
torch.manual_seed(0)
wide, blocks = (64, 128), ("DownBlock2D", "DownBlock2D")
unet = UNet2DModel(block_out_channels=wide, down_block_types=blocks,
                   up_block_types=("UpBlock2D", "UpBlock2D"), norm_num_groups=16)
noise = torch.randn(16, 3, 64, 64)

def render():
    with torch.no_grad():
        for _ in range(2):
            unet(noise, 1)

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
