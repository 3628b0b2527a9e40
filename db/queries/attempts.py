"""The attempts at batches: one row per claim, kept for good, with how it ended."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from adloom.errors import AdloomError
from adloom.records import AttemptRecord, Lease
from adloom.states import AttemptEnding
from db.engine import Transaction
from db.text import bounded

_BEGIN = text("""
INSERT INTO batch_attempt (batch_id, epoch, workspace_id, owner, worker, renders, started_at)
SELECT b.id, b.lease_epoch, b.workspace_id, :owner, :worker, (
        SELECT count(*) FROM render r WHERE r.batch_id = b.id AND r.state = 'leased'),
    clock_timestamp()
FROM batch b WHERE b.id = :batch
""")

_END = text("""
UPDATE batch_attempt SET ended_at = clock_timestamp(), ending = CAST(:ending AS attempt_ending),
    error_class = :error_class, error_message = :error_message
WHERE batch_id = :batch AND epoch = :epoch AND ended_at IS NULL
""")

# A process that was told to stop and then ended is no fault of what it was making.
_LOST = text("""
UPDATE batch_attempt a SET ended_at = clock_timestamp(), ending = CASE WHEN EXISTS (
        SELECT FROM worker w WHERE w.workspace_id = a.workspace_id AND w.owner = a.owner
            AND w.state <> 'working') THEN CAST('evicted' AS attempt_ending) ELSE 'lost' END
WHERE a.batch_id = ANY (CAST(:batches AS bigint[])) AND a.ended_at IS NULL
RETURNING a.batch_id, a.owner, a.worker, a.ending
""")

_UNCOUNT = text("""
UPDATE batch SET attempts = attempts - 1 WHERE id = ANY (CAST(:batches AS bigint[]))
""")

_OF_RUN = text("""
SELECT a.batch_id, a.epoch, a.owner, a.worker, a.renders, a.started_at, a.ended_at, a.ending,
    a.error_class, a.error_message
FROM batch_attempt a JOIN batch b ON b.id = a.batch_id
WHERE b.run_id = :run ORDER BY a.started_at, a.batch_id, a.epoch LIMIT :limit
""")

_OF_RENDER = text("""
SELECT a.batch_id, a.epoch, a.owner, a.worker, a.renders, a.started_at, a.ended_at, a.ending,
    a.error_class, a.error_message
FROM render r JOIN batch_attempt a ON a.batch_id = r.batch_id
WHERE r.id = :render ORDER BY a.started_at, a.epoch LIMIT 50
""")

_ENDINGS = text("""
SELECT coalesce(CAST(a.ending AS text), 'under way') AS ending, count(*) AS n
FROM batch_attempt a JOIN batch b ON b.id = a.batch_id WHERE b.run_id = :run GROUP BY 1 ORDER BY 1
""")


def begin(tx: Transaction, lease: Lease, worker: str) -> None:
    """Notes a claim; call it when the batch's renders are leased."""
    tx.execute(_BEGIN, {"batch": lease.batch_id, "owner": lease.owner, "worker": worker})


def end(
    tx: Transaction, lease: Lease, ending: AttemptEnding, error: AdloomError | None = None
) -> None:
    """Notes how the lease's attempt ended, once."""
    values = {
        "batch": lease.batch_id,
        "epoch": lease.epoch,
        "ending": ending.value,
        "error_class": error.error_class if error else None,
        "error_message": bounded(str(error)) if error else None,
    }
    tx.execute(_END, values)


def lose(tx: Transaction, batch_ids: Sequence[int]) -> list[Any]:
    """Ends the attempts that are open at these batches as lost, or evicted: then uncounted.

    Returns rows of batch_id, owner, worker, ending.
    """
    lost = list(tx.execute(_LOST, {"batches": list(batch_ids)}))
    evicted = [row.batch_id for row in lost if row.ending == AttemptEnding.EVICTED]
    if evicted:
        tx.execute(_UNCOUNT, {"batches": evicted})
    return lost


def of_run(tx: Transaction, run_id: int, *, limit: int = 1000) -> tuple[AttemptRecord, ...]:
    """The attempts at the batches that a run has cut, in the order they began."""
    return tuple(_attempt(r) for r in tx.execute(_OF_RUN, {"run": run_id, "limit": limit}))


def of_render(tx: Transaction, render_id: int) -> tuple[AttemptRecord, ...]:
    """The attempts at the batch that a render was last cut into, in the order they began."""
    return tuple(_attempt(r) for r in tx.execute(_OF_RENDER, {"render": render_id}))


def endings(tx: Transaction, run_id: int) -> dict[str, int]:
    """How the attempts at a run's batches ended, counted; `under way` are those that have not."""
    return {row.ending: row.n for row in tx.execute(_ENDINGS, {"run": run_id})}


def _attempt(row: Any) -> AttemptRecord:
    return AttemptRecord(
        batch_id=row.batch_id,
        epoch=row.epoch,
        owner=row.owner,
        worker=row.worker,
        renders=row.renders,
        started_at=row.started_at,
        ended_at=row.ended_at,
        ending=None if row.ending is None else AttemptEnding(row.ending),
        error_class=row.error_class,
        error_message=row.error_message,
    )
