"""What workers say of themselves in their rows. Counters begin anew with each process."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from prometheus_client.core import Metric

from adloom.catalog import Price
from adloom.records import WorkerRecord
from adloom.states import WorkerState
from services.metric_families import labelled

_OF_WORKER = ("worker", "pool", "host", "device")
_STATS = (
    ("adloom_worker_busy_seconds", "Seconds that its device rendered.", "busy_s", 1.0, True),
    ("adloom_worker_renders", "Renders that its process made.", "renders", 1.0, True),
    ("adloom_worker_batches", "Batches that its process rendered.", "batches", 1.0, True),
    (
        "adloom_worker_busy_ratio",
        "Share of its process's time that its device rendered.",
        "busy_share",
        1.0,
        False,
    ),
    ("adloom_worker_uptime_seconds", "Age of its process.", "uptime_s", 1.0, False),
    ("adloom_worker_memory_bytes", "Resident memory of its process.", "rss_mb", 1e6, False),
    ("adloom_worker_clock_skew_seconds", "Its clock less Postgres'.", "clock_skew_s", 1.0, False),
    ("adloom_worker_active_runs", "Flow runs that it has under way.", "active", 1.0, False),
)


def of_workers(workers: Iterable[WorkerRecord]) -> Iterator[Metric]:
    """Whether workers are there, what they are, and what they last said of themselves."""
    there = {_key(w): w for w in workers if w.state is not WorkerState.STOPPED}
    alive = {key: w for key, w in there.items() if w.alive}
    yield labelled(
        "adloom_worker_up",
        "1: heard of lately; 0: lost, for an hour.",
        _OF_WORKER,
        {key: float(w.alive) for key, w in there.items()},
    )
    yield labelled(
        "adloom_worker_draining",
        "Whether it takes no more work.",
        _OF_WORKER,
        {k: float(w.state is WorkerState.DRAINING) for k, w in alive.items()},
    )
    yield labelled(
        "adloom_worker_build",
        "The version of adloom it runs, always 1.",
        (*_OF_WORKER, "version"),
        {(*k, w.version): 1 for k, w in alive.items()},
    )
    for name, help_text, stat, factor, counter in _STATS:
        values = {k: factor * float(w.stats[stat]) for k, w in alive.items() if _has(w, stat)}
        yield labelled(name, help_text, _OF_WORKER, values, counter=counter)
    yield labelled(
        "adloom_worker_refusals",
        "Models whose batches it leaves to others.",
        _OF_WORKER,
        {k: len(w.stats.get("refuses", ())) for k, w in alive.items()},
    )


def _has(worker: WorkerRecord, stat: str) -> bool:
    return isinstance(worker.stats.get(stat), int | float)


def of_cost(workers: Iterable[WorkerRecord], gpu_hour: Price) -> Iterator[Metric]:
    """What the devices cost while they rendered; times the uptime it is what they cost in all."""
    price, currency = gpu_hour.amount, gpu_hour.currency
    yield labelled(
        "adloom_gpu_hour_price",
        "What an hour of a GPU costs.",
        ("currency",),
        {(currency,): float(price)},
    )
    gpus = {_key(w): w for w in workers if w.alive and w.pool == "gpu" and _has(w, "busy_s")}
    cost = {
        (*key, currency): float(Decimal(str(w.stats["busy_s"])) * price / 3600)
        for key, w in gpus.items()
    }
    yield labelled(
        "adloom_worker_cost",
        "Price of the seconds that its device rendered.",
        (*_OF_WORKER, "currency"),
        cost,
        counter=True,
    )


def _key(worker: WorkerRecord) -> tuple[str, str, str, str]:
    return worker.name, worker.pool, worker.host, worker.device
