"""What a fleet costs beside its GPUs: busy share, waits, processor time and memory per batch.

    python -m benchmarks.fleet_sim                                           # 1, 2, 4, 8 workers
    python -m benchmarks.fleet_sim --workers 2 --batches 60 --batch-seconds 10
    python -m benchmarks.fleet_sim --workers 2 --batches 2000 --batch-seconds 0.2

Real: Prefect's server, Postgres, workers and their supervisors, the coordinating command, encoding,
finishing, rows, the store (a folder). Simulated: a render sleeps as long as a GPU would and makes
coarse noise of `mini`'s size, and its masks and scores are made up, since eight GPUs' scoring
networks do not fit the cores of one machine. All of it shares this machine's cores, which real
workers do not: what saturates here are those. Ends with one JSON line.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.process_usage import Usage
from benchmarks.simulated_fleet import Night, SimulatedFleet, simulated_fleet

GROUPS = ("prefect", "postgres-prefect", "postgres-adloom", "coordinator", "workers")
_COUNTED = """
SELECT spec->>'seed', batch_id FROM render WHERE batch_id IN (
    SELECT b.id FROM batch b JOIN run r ON r.id = b.run_id JOIN campaign c ON c.id = r.campaign_id
    WHERE c.slug = %s)
"""
_ATTEMPTS = """
SELECT count(*), count(*) FILTER (WHERE a.ending = 'finished'), max(b.run_id) FROM batch_attempt a
JOIN batch b ON b.id = a.batch_id JOIN run r ON r.id = b.run_id
JOIN campaign c ON c.id = r.campaign_id WHERE c.slug = %s
"""
_HISTORY = "SELECT count(*) FROM flow_run WHERE state_type = 'COMPLETED' AND tags @> %s"


@dataclass(frozen=True, slots=True)
class Found:
    """What one run showed, between its first and its last render.

    `cpu_ms` is per batch, by group of processes; `idle_cpu_ms` that of a second in which the
    workers wait; `memory_mb` at the run's begin, middle and end.
    """

    workers: int
    batches: int
    renders_per_batch: int
    batch_s: float
    span_s: float
    run_s: float
    batches_per_s: float
    busy_percent: float
    gap_ms: dict[str, float]
    attempts: int
    unfinished_attempts: int
    prefect_runs_completed: int
    cpu_ms: dict[str, float]
    idle_cpu_ms: dict[str, float]
    cores: float
    memory_mb: dict[str, tuple[int, int, int]]


def measure(fleet: SimulatedFleet, workers: int, night: Night, idle_s: float) -> Found:
    """Brings the fleet to so many workers, lets it idle, and has it run a night."""
    fleet.up(workers)
    fleet.warm_up(workers)
    idle = Usage(fleet.processes)
    with idle.watched():
        time.sleep(idle_s)
    begun = len(_journal(fleet.journal))
    started = time.monotonic()
    command = fleet.run(night)
    usage = Usage(lambda: fleet.processes(command))
    with usage.watched():
        code = command.wait()
    assert code == 0, f"the run ended with {code}: see {fleet.home / 'logs' / 'run.log'}"
    run_s = time.monotonic() - started
    lines = _journal(fleet.journal)[begun:]
    batch_of = {int(seed): batch for seed, batch in fleet.rows(_COUNTED, night.name)}
    made = _renderings(lines, batch_of)
    batches = len({one.batch for one in made})
    [(attempts, finished, run)] = fleet.rows(_ATTEMPTS, night.name)
    [(history,)] = fleet.rows(_HISTORY, json.dumps([f"run-{run}"]), prefect=True)
    begin, end = made[0].begin, max(one.end for one in made)
    span_s, cores = end - begin, {g: usage.cores(g, begin, end) for g in GROUPS}
    return Found(
        workers=workers,
        batches=batches,
        renders_per_batch=night.renders,
        batch_s=night.batch_s,
        span_s=round(span_s, 2),
        run_s=round(run_s, 1),
        batches_per_s=round(batches / span_s, 3),
        busy_percent=round(100 * sum(r.end - r.begin for r in made) / (workers * span_s), 2),
        gap_ms=_spread(_gaps_s(made)),
        attempts=attempts,
        unfinished_attempts=attempts - finished,
        prefect_runs_completed=history,
        cpu_ms={g: round(1000 * n * span_s / batches, 1) for g, n in cores.items()},
        idle_cpu_ms={g: round(1000 * idle.cores(g), 1) for g in GROUPS},
        cores=round(sum(cores.values()), 2),
        memory_mb={g: usage.memory_mb(g, begin, end) for g in GROUPS},
    )


@dataclass(frozen=True, slots=True)
class Rendering:
    """A micro-batch that a worker rendered, by the clock."""

    worker: int
    batch: int
    begin: float
    end: float


def _journal(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _renderings(lines: Sequence[dict[str, Any]], batch_of: dict[int, int]) -> list[Rendering]:
    """The journal's micro-batches, by time: their renders are noted together, before they begin."""
    together: dict[tuple[int, float], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        together[line["pid"], line["at"]].append(line)
    return [
        Rendering(pid, batch_of[its[0]["seed"]], at, at + sum(x["seconds"] for x in its))
        for (pid, at), its in sorted(together.items(), key=lambda entry: entry[0][1])
    ]


def _gaps_s(renderings: Sequence[Rendering]) -> list[float]:
    """How long each worker rendered nothing between the end of a batch and the next one's begin."""
    last: dict[int, Rendering] = {}
    gaps: list[float] = []
    for one in renderings:
        before = last.get(one.worker)
        if before is not None and before.batch != one.batch:
            gaps.append(one.begin - before.end)
        last[one.worker] = one
    return gaps


def _spread(gaps_s: Sequence[float]) -> dict[str, float]:
    if not gaps_s:
        return {}
    ordered = sorted(1000 * g for g in gaps_s)
    at = {"median": median(ordered), "p95": ordered[int(0.95 * (len(ordered) - 1))]}
    return {k: round(v, 1) for k, v in (*at.items(), ("max", ordered[-1]))}


def arithmetic(
    every: Sequence[Found], gpus: int, creatives: int, hours: float, batch: int
) -> list[str]:
    """What the figures say of a night of `creatives` on `gpus`, cut into batches of `batch`."""
    first, last = every[0], every[-1]
    needed = creatives / batch / (3600 * hours)
    gpu_s = gpus * 3600 * hours / creatives
    wait_s = last.gap_ms.get("median", 0.0) / 1e3
    a_worker = last.idle_cpu_ms["prefect"] / last.workers
    if last.workers > first.workers:  # else what the server takes by itself counts as theirs
        more = last.idle_cpu_ms["prefect"] - first.idle_cpu_ms["prefect"]
        a_worker = max(0.0, more) / (last.workers - first.workers)
    a_batch = {
        g: max(0.0, last.cpu_ms[g] - last.idle_cpu_ms[g] / last.batches_per_s) for g in GROUPS
    }
    prefect = (a_batch["prefect"] * needed + a_worker * gpus) / 1e3
    rows = a_batch["postgres-adloom"] * needed * batch / last.renders_per_batch / 1e3
    return [
        f"{creatives:,} creatives in {hours:g} h are {creatives / 3600 / hours:.1f} a second, in "
        f"batches of {batch} {needed:.2f} batches a second",
        f"{gpus} GPUs: a picture may take {gpu_s:.2f} s of one, a batch {batch * gpu_s:.0f} s, of "
        f"which the wait for the next is {100 * wait_s / (batch * gpu_s + wait_s):.3f} %",
        f"Prefect's server, which is one process: {prefect:.2f} of a core "
        f"({a_batch['prefect']:.0f} ms a batch, {a_worker:.1f} ms a second and idle worker); with "
        f"{gpus} workers it is full at "
        f"{max(0.0, 1000 - a_worker * gpus) / max(1.0, a_batch['prefect']):.1f} batches a second",
        f"Postgres: {a_batch['postgres-prefect'] * needed / 1e3:.2f} cores for Prefect, at most "
        f"{rows:.2f} for adloom's rows",
        f"the coordinator: {a_batch['coordinator'] * needed / 1e3:.2f} cores",
        f"a worker, beside its GPU and scoring: {a_batch['workers']:.0f} ms a batch of "
        f"{last.renders_per_batch}",
    ]


def show(found: Found) -> None:
    gaps = " / ".join(f"{v:.0f}" for v in found.gap_ms.values()) or "none"
    print(
        f"{found.workers} workers: {found.batches} batches of {found.batch_s:g} s in "
        f"{found.span_s:.1f} s, {found.batches_per_s:.2f} a second; {found.busy_percent:.1f} % "
        f"busy, waits of {gaps} ms (median / p95 / most); {found.cores:.2f} of "
        f"{os.cpu_count()} cores"
    )
    print(
        f"  {found.prefect_runs_completed} completed flow runs in Prefect's database, "
        f"{found.unfinished_attempts} attempts that did not finish; memory from begin to end"
    )
    for group in GROUPS:
        print(
            f"  {group:18}{found.cpu_ms[group]:8.1f} ms a batch {found.idle_cpu_ms[group]:8.1f} ms "
            f"a second idle   {' → '.join(map(str, found.memory_mb[group]))} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet_sim",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--batches", type=int, help="of each run; else 15 a worker")
    parser.add_argument("--batch-seconds", type=float, default=3.0)
    parser.add_argument("--renders", type=int, default=1, help="of a batch")
    parser.add_argument("--idle-seconds", type=float, default=10.0, help="idling measured before")
    parser.add_argument("--gpus", type=int, default=200)
    parser.add_argument("--creatives", type=int, default=1_000_000)
    parser.add_argument("--hours", type=float, default=8.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped
    every: list[Found] = []
    with simulated_fleet() as fleet:
        for workers in sorted(options.workers):
            batches = options.batches or 15 * workers
            night = Night(f"night-{workers}", batches, options.renders, options.batch_seconds)
            every.append(measure(fleet, workers, night, options.idle_seconds))
            show(every[-1])
    for line in arithmetic(every, options.gpus, options.creatives, options.hours, batch=32):
        print(line)
    print(json.dumps({"runs": [asdict(f) for f in every]}))


if __name__ == "__main__":
    main()
