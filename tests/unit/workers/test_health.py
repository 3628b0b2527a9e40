"""The health page, and the bound on a process's memory."""

import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import pytest

from adloom.errors import ConfigurationError
from tasks.device_metrics import DeviceMetrics
from workers.health import health_page
from workers.memory import MemoryBound
from workers.process import STALLED_S, is_stalled
from workers.supervisor import EXIT_REPLACE

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("healthy", "code"), [(True, 200), (False, 503)])
def test_the_page_says_how_the_worker_is(healthy: bool, code: int) -> None:
    with health_page(0, lambda: (healthy, {"renders": 7}), DeviceMetrics().registry) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/health")
        assert (answer.status_code, answer.json()) == (code, {"renders": 7})
        assert httpx.get(f"http://127.0.0.1:{port}/other").status_code == 404


def test_a_port_that_is_taken_is_refused_with_the_mend() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=rf"{port}.*choose another"),
            health_page(port, lambda: (True, {}), DeviceMetrics().registry),
        ):
            pass


@pytest.mark.parametrize(
    ("device", "silent_s", "stalled"),
    [("cuda:0", STALLED_S, False), ("cuda:0", STALLED_S + 1, True), ("cpu", 10 * STALLED_S, False)],
)
def test_a_gpu_that_makes_nothing_while_a_batch_holds_it_hangs(
    device: str, silent_s: float, stalled: bool
) -> None:
    assert is_stalled(device, silent_s) is stalled


def test_a_process_whose_gpu_hangs_ends_to_be_replaced() -> None:
    hangs = """
import asyncio, threading
from tasks.device import device
from tasks.stopping import Stop
from workers import process
process.STALLED_S = 0.1
with device().held(Stop()):
    threading.Thread(target=threading.Event().wait).start()  # what no signal breaks off
    asyncio.run(process._watch_device("cuda:0"))
"""
    ended = subprocess.run([sys.executable, "-c", hangs], cwd=ROOT, timeout=120, check=False)
    assert ended.returncode == EXIT_REPLACE


@dataclass
class Growing:
    """A process whose memory is what the test says."""

    rss: int

    def memory_info(self) -> Any:
        return self


@pytest.mark.parametrize(("growth_mb", "exceeded"), [(0, False), (60, False), (40, True)])
def test_memory_is_held_against_what_the_first_batches_took(growth_mb: int, exceeded: bool) -> None:
    process = Growing(900_000_000)
    bound = MemoryBound(cast(psutil.Process, process), "cpu", growth_mb)
    assert not bound.is_exceeded(batches=1)
    process.rss = 1_000_000_000
    assert not bound.is_exceeded(batches=3)
    process.rss = 1_050_000_000
    assert bound.is_exceeded(batches=4) is exceeded
    assert bound.exceeded is exceeded
