"""A run's batches: how they stand, who made them, which were slow or needed several attempts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from adloom.states import BatchState
from db.engine import Transaction

CELLS = 240
"""A run's batches are shown as at most so many cells, each of batches in a row."""

_STATES = text("""
SELECT CAST(state AS text) AS state, count(*) AS n FROM batch WHERE run_id = :run GROUP BY 1
""")

_CELLS = text("""
SELECT cell, count(*) AS batches, min(id) AS first, max(id) AS last,
    count(*) FILTER (WHERE state = 'done') AS done,
    count(*) FILTER (WHERE state = 'failed') AS failed,
    count(*) FILTER (WHERE state = 'leased') AS leased,
    count(*) FILTER (WHERE state = 'pending') AS pending
FROM (SELECT id, state, (row_number() OVER (ORDER BY id) - 1) * :cells
        / greatest(:cells, count(*) OVER ()) AS cell
    FROM batch WHERE run_id = :run) AS b
GROUP BY cell ORDER BY cell
""")

_WORKERS = text("""
SELECT coalesce(nullif(a.worker, ''), a.owner) AS worker, count(DISTINCT a.batch_id) AS batches,
    count(*) AS attempts, coalesce(sum(a.renders), 0) AS renders,
    count(*) FILTER (WHERE a.ending IN ('crashed', 'lost', 'failed')) AS bad_ends,
    count(*) FILTER (WHERE a.ended_at IS NULL) AS under_way,
    coalesce(sum(extract(epoch FROM coalesce(a.ended_at, now()) - a.started_at)), 0) AS seconds,
    max(coalesce(a.ended_at, now())) AS last_at,
    (SELECT w.device FROM worker w WHERE w.workspace_id = :ws AND w.name = max(a.worker)) AS device,
    (SELECT w.state <> 'stopped' AND w.expires_at > clock_timestamp() FROM worker w
        WHERE w.workspace_id = :ws AND w.name = max(a.worker)) AS is_alive
FROM batch_attempt a JOIN batch b ON b.id = a.batch_id
WHERE b.run_id = :run GROUP BY 1 ORDER BY renders DESC, 1 LIMIT :limit
""")

_LINE = """
SELECT b.id, CAST(b.state AS text) AS state, b.size, b.attempts, b.error_class,
    left(b.error_message, 300) AS message, l.worker, l.seconds
FROM batch b LEFT JOIN LATERAL (
    SELECT coalesce(nullif(a.worker, ''), a.owner) AS worker,
        extract(epoch FROM coalesce(a.ended_at, now()) - a.started_at) AS seconds
    FROM batch_attempt a WHERE a.batch_id = b.id ORDER BY a.epoch DESC LIMIT 1) l ON true
WHERE b.run_id = :run
"""
_SLOWEST = text(f"{_LINE} AND l.seconds IS NOT NULL ORDER BY l.seconds DESC, b.id LIMIT :limit")
_MOST_RETRIED = text(f"{_LINE} AND b.attempts > 1 ORDER BY b.attempts DESC, b.id LIMIT :limit")


@dataclass(frozen=True, slots=True)
class BatchCell:
    """Some batches in a row of a run."""

    batches: int
    first: int
    last: int
    done: int
    failed: int
    leased: int
    pending: int

    @property
    def state(self) -> BatchState:
        """The state that says most: failed, under way, waiting, done."""
        if self.failed:
            return BatchState.FAILED
        if self.leased:
            return BatchState.LEASED
        return BatchState.PENDING if self.pending else BatchState.DONE


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What a worker did of a run; `seconds` are those of its attempts, summed."""

    worker: str
    batches: int
    attempts: int
    renders: int
    bad_ends: int
    under_way: int
    seconds: float
    last_at: datetime
    device: str | None
    is_alive: bool


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A batch; `worker` and `seconds` are of its last attempt."""

    id: int
    state: BatchState
    size: int
    attempts: int
    error_class: str | None
    message: str | None
    worker: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class RunBatches:
    states: dict[str, int]
    cells: tuple[BatchCell, ...]
    workers: tuple[WorkerShare, ...]
    slowest: tuple[BatchLine, ...]
    most_retried: tuple[BatchLine, ...]

    @property
    def total(self) -> int:
        return sum(self.states.values())


def of_run(tx: Transaction, ws: int, run_id: int, *, limit: int = 10) -> RunBatches:
    """The batches that a run has cut."""
    values = {"ws": ws, "run": run_id, "limit": limit}
    return RunBatches(
        states={r.state: r.n for r in tx.execute(_STATES, values)},
        cells=tuple(
            BatchCell(r.batches, r.first, r.last, r.done, r.failed, r.leased, r.pending)
            for r in tx.execute(_CELLS, {"run": run_id, "cells": CELLS})
        ),
        workers=tuple(_worker(r) for r in tx.execute(_WORKERS, {**values, "limit": 100})),
        slowest=tuple(_line(r) for r in tx.execute(_SLOWEST, values)),
        most_retried=tuple(_line(r) for r in tx.execute(_MOST_RETRIED, values)),
    )


def _worker(r: Any) -> WorkerShare:
    return WorkerShare(
        r.worker,
        r.batches,
        r.attempts,
        int(r.renders),
        r.bad_ends,
        r.under_way,
        float(r.seconds),
        r.last_at,
        r.device,
        bool(r.is_alive),
    )


def _line(r: Any) -> BatchLine:
    return BatchLine(
        r.id,
        BatchState(r.state),
        r.size,
        r.attempts,
        r.error_class,
        r.message,
        r.worker,
        None if r.seconds is None else float(r.seconds),
    )
