"""The health page, and the bound on a process's memory."""

import socket
from dataclasses import dataclass
from typing import Any, cast

import httpx
import psutil
import pytest

from adloom.errors import ConfigurationError
from tasks.device_metrics import DeviceMetrics
from workers.health import health_page
from workers.memory import MemoryBound


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
