"""The workers of one machine and the page of its metrics, started by `adloom up --workers N` and
stopped by `adloom down`."""

import os
import socket
import sys
from pathlib import Path

from services.ports import free_port
from services.processes import Process, is_alive, start_detached
from services.stack import Running, record_worker
from services.state import State, load
from tasks.settings import Settings

_METRICS, _METRICS_HOST = "metrics ", "127.0.0.1"


def start_workers(
    settings: Settings, running: Running, pool: str, count: int
) -> tuple[Process, ...]:
    """Starts `count` workers of a pool, less those that run already; returns the new ones.

    On a machine with several CUDA devices (`ADLOOM_DEVICE=cuda`) each gets its own.
    """
    recorded = load(settings.home) or State()
    alive = {w.name for w in recorded.workers if is_alive(w)}
    host = socket.gethostname()  # machines may share one Postgres: a name is one worker's there
    wanted = [f"{host}-{pool}-{number}" for number in range(1, count + 1)]
    started: list[Process] = []
    for number, name in enumerate(wanted):
        if _title(name) in alive:
            continue
        device = f"cuda:{number}" if settings.device == "cuda" else settings.device
        process = start_detached(
            _title(name),
            [
                sys.executable, "-P", "-m", "cli.main", "worker",
                f"--pool={pool}", f"--name={name}", f"--device={device}",
            ],
            log=settings.home / "logs" / f"worker-{name}.log",
            env={**os.environ, **running.prefect_environment},
            cwd=Path.cwd(),
        )  # fmt: skip
        record_worker(settings, process)
        started.append(process)
    return tuple(started)


def start_metrics(settings: Settings, running: Running) -> str:
    """Starts the page of metrics, if none of this installation runs; returns its address.

    At ADLOOM_METRICS_PORT, or at any port that is free where that one is taken.
    """
    recorded = load(settings.home) or State()
    for process in recorded.workers:
        if process.name.startswith(_METRICS) and is_alive(process):
            return process.name.removeprefix(_METRICS)
    port = free_port(_METRICS_HOST, settings.metrics_port)
    address = f"http://{_METRICS_HOST}:{port}/metrics"
    process = start_detached(
        f"{_METRICS}{address}",
        [
            sys.executable, "-P", "-m", "cli.main", "metrics",
            f"--host={_METRICS_HOST}", f"--port={port}",
        ],
        log=settings.home / "logs" / "metrics.log",
        env={**os.environ, **running.prefect_environment},
        cwd=Path.cwd(),
    )  # fmt: skip
    record_worker(settings, process)
    return address


def _title(name: str) -> str:
    return f"worker {name}"
