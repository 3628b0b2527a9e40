"""The process that works: environment, membership, health page, Prefect worker, signals."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import structlog

from adloom.errors import AdloomError
from adloom.fleet_builds import Build
from adloom.states import WorkerState
from db.queries import submissions
from tasks.builds import own_build
from tasks.device import device
from tasks.environment import Environment, use
from tasks.fleet import CONTROL_POOL
from tasks.logs import about_process, configure
from tasks.opening import open_from_settings
from tasks.patience import OUTAGE_S, Outlasting, PatientStore, is_outage, outlast
from tasks.refusals import refusals
from tasks.resident import loaded_weights
from tasks.settings import Settings
from tasks.stopping import StopReason
from workers.health import health_page
from workers.membership import Membership, Place
from workers.memory import MemoryBound
from workers.supervisor import EXIT_DRAINED, EXIT_REPLACE, EXIT_UNFIT

log = structlog.get_logger(__name__)
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_WORKER_ENABLE_CANCELLATION": "true",
    "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "10",
}
_SILENT_S = 120.0
"""A worker that has asked Prefect for nothing this long while it had room is not healthy; one that
asks and gets no answer is."""
STALLED_S = 900.0
"""A GPU that has made nothing so long while a batch holds it hangs: even a model that is compiled
anew, with its store away for three minutes, makes a micro-batch sooner. A CPU may take its time."""
_LOOK_S = 1.0


def main() -> int:
    """Works until told to stop; returns the exit code for the supervisor."""
    options = _options()
    os.environ.update(_QUIET)
    threading.Thread(target=_end_with_supervisor, name="supervisor", daemon=True).start()
    try:
        configure(Settings.load().log_format)
        about_process(worker=options.name)
        return _work(options)
    except AdloomError as error:
        sys.stderr.write(f"worker '{options.name}': {error}\n")
        return EXIT_REPLACE if error.retryable else EXIT_UNFIT


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="workers.process")
    parser.add_argument("--name", required=True)
    parser.add_argument("--pool", required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--health-host", default="127.0.0.1")
    parser.add_argument("--health-port", type=int, default=0)
    parser.add_argument("--max-growth-mb", type=int, default=0)
    parser.add_argument("--hand-back", action="store_true")
    return parser.parse_args()


def _end_with_supervisor() -> None:
    """The pipe ends when the supervisor has: nobody would replace this process or stop it."""
    while os.read(0, 1024):
        pass
    os._exit(EXIT_REPLACE)


def _work(options: argparse.Namespace) -> int:
    from workers.deployments import require_pool  # imports Prefect
    from workers.resident import ResidentWorker

    opened = Outlasting(is_outage, OUTAGE_S)(open_from_settings, flows_at_once=options.limit)
    asyncio.run(outlast(require_pool, options.pool))
    host = socket.gethostname()
    env = replace(
        opened,
        store=PatientStore(opened.store),
        owner=f"{options.name}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
        worker=options.name,
        renders_here=False,
    )
    renders = options.pool != CONTROL_POOL
    if renders:
        from models.refadgen.dtypes import check_device

        check_device(env.rendering.device)
        from models.device import allocated_bytes  # imports torch

        device().metrics.memory_bytes.set_function(lambda: allocated_bytes(env.rendering.device))
    place = Place(options.name, options.pool, host, os.getpid(), env.rendering.device)

    def is_work_likely() -> bool:
        """For workers that render: schedules and people make other flow runs."""
        if not renders:
            return True
        with env.database.transaction() as tx:
            return submissions.are_untaken(tx, env.workspace_id)

    worker = ResidentWorker(
        options.pool, name=options.name, limit=options.limit, is_work_likely=is_work_likely
    )
    with use(env):
        return asyncio.run(_serve(env, place, own_build(), worker, options))


async def _serve(
    env: Environment, place: Place, build: Build, worker: Any, options: argparse.Namespace
) -> int:
    started, loop = time.monotonic(), asyncio.get_running_loop()
    bound = MemoryBound(psutil.Process(), env.rendering.device, options.max_growth_mb)

    def stats() -> dict[str, Any]:
        return {
            "active": worker.active,
            **_device_use(),
            "rss_mb": round(bound.rss_mb()),
            "uptime_s": round(time.monotonic() - started, 1),
            "refuses": refusals().listed(),
            "weights": loaded_weights(),
        }

    def work_done() -> int:
        return worker.ended_runs if place.pool == CONTROL_POOL else device().use.batches

    def report() -> tuple[bool, dict[str, Any]]:
        silent_s = time.monotonic() - worker.asked_at
        is_alive = worker.draining or worker.active > 0 or silent_s < _SILENT_S
        healthy = is_alive and not is_stalled(place.device, device().silent_s)
        state = "draining" if worker.draining else "working"
        return healthy, {"name": place.name, "pool": place.pool, "state": state,
                         "healthy": healthy, **stats()}  # fmt: skip

    with (
        health_page(
            options.health_port, report, device().metrics.registry, host=options.health_host
        ) as port,
        Membership(
            env,
            place,
            build,
            lambda: {**stats(), "health_port": port},
            lambda: loop.call_soon_threadsafe(lambda: drain(StopReason.REPLACED, True)),
        ) as member,
    ):

        def drain(reason: StopReason, hand_back: bool) -> None:
            member.say(WorkerState.DRAINING)
            worker.drain(reason, hand_back=hand_back)

        _heed_signals(lambda: drain(StopReason.DRAINING, options.hand_back))
        watching = asyncio.create_task(
            _watch_memory(bound, work_done, lambda: drain(StopReason.REPLACED, False))
        )
        stalling = asyncio.create_task(_watch_device(place.device))
        await worker.start(
            printer=lambda line: log.info(line, health=f"{options.health_host}:{port}/health")
        )
        watching.cancel()
        stalling.cancel()
    if member.displaced:
        return EXIT_UNFIT  # a new one would take the name back, and so on
    if worker.ended_by is not None:
        sys.stderr.write(f"worker '{place.name}' ends: {worker.ended_by}\n")
        return EXIT_REPLACE
    return EXIT_REPLACE if bound.exceeded else EXIT_DRAINED


def _device_use() -> dict[str, Any]:
    used = device().use
    return {
        "batches": used.batches,
        "renders": used.renders,
        "busy_s": round(used.busy_s, 3),
        "busy_share": round(used.busy_share, 4),
        "gap_ms": [round(1000 * g, 1) for g in list(used.gaps_s)[-20:]],
    }


def _heed_signals(drain: Any) -> None:
    """SIGTERM drains; a second one stops at once, and leases run out by themselves."""
    told = 0

    def on_signal() -> None:
        nonlocal told
        told += 1
        if told > 1:
            os._exit(128 + signal.SIGTERM)
        log.info("told to stop: finishing what was begun")
        drain()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)


async def _watch_memory(
    bound: MemoryBound, work_done: Callable[[], int], replace_process: Callable[[], None]
) -> None:
    while True:
        await asyncio.sleep(_LOOK_S)
        if bound.is_exceeded(work_done()):
            log.warning("memory has grown beyond its bound: the process is replaced",
                        rss_mb=round(bound.rss_mb()), bound_mb=bound.limit_mb)  # fmt: skip
            replace_process()
            return


def is_stalled(name: str, silent_s: float) -> bool:
    """Whether a device hangs that has been silent so long while a batch holds it."""
    return name.startswith("cuda") and silent_s > STALLED_S


async def _watch_device(name: str) -> None:
    """Ends the process at once when its device hangs: no call into a driver can be broken off. The
    next one hands back what it held, as for a process that died."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if is_stalled(name, silent_s := device().silent_s):
            log.error("the device hangs: the process is replaced", device=name,
                      silent_s=round(silent_s))  # fmt: skip
            os._exit(EXIT_REPLACE)


if __name__ == "__main__":
    sys.exit(main())
