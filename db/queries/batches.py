"""Batches: pending renders cut into pieces of work, and how they stand."""

from typing import Any

from sqlalchemy import text

from adloom.errors import NotFoundError
from adloom.records import BatchRecord, PendingBatch, PendingRender
from adloom.states import BatchState, RenderState
from db.copying import stage
from db.engine import Transaction

_BATCH = """
SELECT b.id, b.run_id, b.state, b.size, b.lease_owner, b.lease_epoch,
    b.state = 'leased' AND b.lease_expires_at < clock_timestamp() AS expired, b.attempts,
    b.prefect_flow_run_id, b.error_class, b.error_message
FROM batch b
"""

# What the run needs and no live batch holds. A render that is `leased` in a batch which has ended
# was put there while the batch ended: it is as free as a pending one. Rows that another
# coordinator cuts at this moment are skipped; it is needed by both, and cut once.
_FREE = text("""
INSERT INTO pg_temp.free_render (id, batch_group, reference)
SELECT r.id, r.batch_group, r.reference FROM render r
WHERE r.state IN ('pending', 'leased')
    AND EXISTS (SELECT FROM run_item i
        WHERE i.run_id = :run AND i.render_id = r.id AND i.outcome = 'open')
    AND NOT EXISTS (SELECT FROM batch b
        WHERE b.id = r.batch_id AND b.state IN ('pending', 'leased'))
ORDER BY r.id
FOR NO KEY UPDATE OF r SKIP LOCKED
""")

# The rows are locked by now; that they are free is asked again, since the first answer may be older
# than a batch that another coordinator has committed meanwhile.
_FORGET_TAKEN = text("""
DELETE FROM pg_temp.free_render f USING render r
WHERE r.id = f.id AND (r.state NOT IN ('pending', 'leased') OR EXISTS (
    SELECT FROM batch b WHERE b.id = r.batch_id AND b.state IN ('pending', 'leased')))
""")

# By group, in the order of references, so that a batch's reference features serve all its scenes.
_PIECES = text("""
INSERT INTO pg_temp.cut_render (id, piece, position)
SELECT id, dense_rank() OVER (ORDER BY batch_group, place / :size), place % :size
FROM (SELECT id, batch_group, row_number() OVER (
        PARTITION BY batch_group ORDER BY reference, id) - 1 AS place
    FROM pg_temp.free_render) AS f
""")

_BATCHES = text("""
INSERT INTO batch (workspace_id, run_id, size)
SELECT u.workspace_id, u.id, p.size FROM run u CROSS JOIN (
    SELECT piece, count(*) AS size FROM pg_temp.cut_render GROUP BY piece) AS p
WHERE u.id = :run ORDER BY p.piece
RETURNING id
""")

# The n-th of the new batches holds the n-th piece.
_PLACE = text("""
UPDATE render r SET state = 'pending', batch_position = c.position,
    batch_id = (CAST(:batches AS bigint[]))[c.piece]
FROM pg_temp.cut_render c WHERE c.id = r.id
""")

_NEEDED_BY = text(f"""{_BATCH}
WHERE b.state IN ('pending', 'leased') AND b.id IN (
    SELECT r.batch_id FROM run_item i JOIN render r ON r.id = i.render_id
    WHERE i.run_id = :run AND i.outcome = 'open' AND r.state IN ('pending', 'leased'))
ORDER BY b.id
""")

_BY_ID = text(f"{_BATCH} WHERE b.id = ANY (CAST(:batches AS bigint[])) ORDER BY b.id")
_OF_RUN = text(f"{_BATCH} WHERE b.run_id = :run ORDER BY b.id")

_PENDING = text("""
SELECT b.lease_epoch, r.fingerprint, r.spec->>'weights_hash' AS weights_hash,
    r.spec->>'renderer_version' AS renderer_version,
    r.spec->>'photo_sha256' AS photo_sha256, r.spec->>'mask_sha256' AS mask_sha256
FROM batch b LEFT JOIN render r ON r.batch_id = b.id AND r.state IN ('pending', 'leased')
WHERE b.id = :batch ORDER BY r.batch_position, r.id
""")

_PLANNED_VERSION = text("""
SELECT r.spec->>'renderer_version' FROM run_item i JOIN render r ON r.id = i.render_id
WHERE i.run_id = :run AND i.outcome = 'open' AND r.state IN ('pending', 'leased') LIMIT 1
""")

_SET_FLOW_RUN = text("UPDATE batch SET prefect_flow_run_id = :flow_run WHERE id = :batch")

_REMAINING = text("""
SELECT state, count(*) AS n FROM render
WHERE id IN (SELECT render_id FROM run_item WHERE run_id = :run AND outcome = 'open')
GROUP BY state
""")

# Its own live batches first, which an index finds at once; then what other runs make for it.
_HAS_LIVE = text("""
SELECT EXISTS (SELECT FROM batch b WHERE b.run_id = :run AND b.state IN ('pending', 'leased')
    AND EXISTS (SELECT FROM render r WHERE r.batch_id = b.id AND r.state IN ('pending', 'leased')))
""")
_AWAITED = text("""
SELECT EXISTS (SELECT FROM render r JOIN run_item i ON i.render_id = r.id
    WHERE r.state IN ('pending', 'leased') AND i.run_id = :run AND i.outcome = 'open')
""")

_EXHAUSTED = text("""
UPDATE batch SET state = 'failed', ended_at = now(), lease_epoch = lease_epoch + 1,
    lease_owner = NULL, lease_expires_at = NULL, error_class = 'LeaseLostError',
    error_message = 'claimed ' || attempts || ' times and never finished'
WHERE workspace_id = :ws AND attempts >= :max_attempts AND state = 'pending'
RETURNING id
""")

_FAIL_RENDERS = text("""
UPDATE render r SET state = 'failed', ended_at = now(), attempts = r.attempts + b.attempts,
    error_class = b.error_class, error_retryable = true,
    error_message = 'batch ' || b.id || ' was ' || b.error_message
FROM batch b
WHERE b.id = r.batch_id AND b.id = ANY (CAST(:batches AS bigint[]))
    AND r.state IN ('pending', 'leased')
""")


def cut(tx: Transaction, run_id: int, *, size: int) -> tuple[BatchRecord, ...]:
    """Cuts the pending renders that a run needs, and that no live batch holds, into batches.

    A batch is of one native size, dtype and weights, at most `size` renders, ordered by reference.
    Call it again whenever a batch has ended: it also picks up what others dropped.
    """
    stage(tx, "free_render", "id bigint, batch_group text, reference text", ())
    stage(tx, "cut_render", "id bigint, piece bigint, position bigint", ())
    tx.execute(_FREE, {"run": run_id})
    tx.execute(_FORGET_TAKEN)
    tx.execute(_PIECES, {"size": size})
    batches = sorted(tx.execute(_BATCHES, {"run": run_id}).scalars())
    tx.execute(_PLACE, {"batches": batches})
    return _records(tx.execute(_BY_ID, {"batches": batches}))


def needed_by(tx: Transaction, run_id: int) -> tuple[BatchRecord, ...]:
    """Live batches that hold renders this run waits for, whichever run cut them."""
    return _records(tx.execute(_NEEDED_BY, {"run": run_id}))


def get(tx: Transaction, batch_id: int) -> BatchRecord:
    """Raises NotFoundError."""
    found = _records(tx.execute(_BY_ID, {"batches": [batch_id]}))
    if not found:
        raise NotFoundError(f"no batch {batch_id}")
    return found[0]


def pending(tx: Transaction, batch_id: int) -> PendingBatch:
    """What is left to make of a batch, looked at without holding it. Raises NotFoundError."""
    rows = tx.execute(_PENDING, {"batch": batch_id}).all()
    if not rows:
        raise NotFoundError(f"no batch {batch_id}")
    renders = [
        PendingRender(
            r.fingerprint, r.weights_hash, r.renderer_version, r.photo_sha256, r.mask_sha256
        )
        for r in rows
        if r.fingerprint is not None
    ]
    return PendingBatch(batch_id, rows[0].lease_epoch, tuple(renders))


def planned_version(tx: Transaction, run_id: int) -> str | None:
    """The renderer version for which what is left to make of a run was planned; None if nothing
    is left."""
    return tx.execute(_PLANNED_VERSION, {"run": run_id}).scalar_one_or_none()


def of_run(tx: Transaction, run_id: int) -> tuple[BatchRecord, ...]:
    """All batches that a run has cut, ended ones included."""
    return _records(tx.execute(_OF_RUN, {"run": run_id}))


def set_flow_run(tx: Transaction, batch_id: int, flow_run_id: str) -> None:
    tx.execute(_SET_FLOW_RUN, {"batch": batch_id, "flow_run": flow_run_id})


def remaining(tx: Transaction, run_id: int) -> dict[RenderState, int]:
    """How the renders of a run's open items stand; none pending or leased: all are made."""
    return {RenderState(r.state): r.n for r in tx.execute(_REMAINING, {"run": run_id})}


def is_awaited(tx: Transaction, run_id: int) -> bool:
    """Whether any render of a run's open items is still to come."""
    if tx.execute(_HAS_LIVE, {"run": run_id}).scalar_one():
        return True
    return bool(tx.execute(_AWAITED, {"run": run_id}).scalar_one())


def fail_exhausted(tx: Transaction, ws: int, *, max_attempts: int) -> int:
    """Fails batches that were claimed `max_attempts` times and never ended; returns how many.

    Call it after `reaping.reap`, which says which leases have run out, and splits first.
    """
    batches = list(tx.execute(_EXHAUSTED, {"ws": ws, "max_attempts": max_attempts}).scalars())
    tx.execute(_FAIL_RENDERS, {"batches": batches})
    return len(batches)


def _records(rows: Any) -> tuple[BatchRecord, ...]:
    return tuple(
        BatchRecord(
            id=r.id,
            run_id=r.run_id,
            state=BatchState(r.state),
            renders=r.size,
            lease_owner=r.lease_owner,
            lease_epoch=r.lease_epoch,
            expired=bool(r.expired),
            attempts=r.attempts,
            flow_run_id=r.prefect_flow_run_id,
            error_class=r.error_class,
            error_message=r.error_message,
        )
        for r in rows
    )
