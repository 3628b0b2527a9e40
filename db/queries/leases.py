"""A worker's hold on a batch. Every write names the lease's epoch: the fence.

The fence is a share lock on the batch's row, taken by each write before all else: while it is held
nobody can claim the batch, and after somebody has, the epoch differs and nothing is written.
"""

from typing import Any

from sqlalchemy import text

from adloom.errors import AdloomError, LeaseLostError
from adloom.finishing_spec import FinishingSpec
from adloom.records import Lease, RenderWork, StoredRender
from adloom.render_spec import RenderSpec
from adloom.states import AttemptEnding
from db.engine import Transaction
from db.queries import attempts
from db.text import as_json, bounded

_CLAIM = text("""
UPDATE batch SET state = 'leased', lease_owner = :owner, lease_epoch = lease_epoch + 1,
    lease_expires_at = clock_timestamp() + make_interval(secs => :ttl), attempts = attempts + 1,
    taken_by = NULL
WHERE id = :batch AND (
    state = 'pending' OR (state = 'leased' AND lease_expires_at < clock_timestamp()
        AND pg_postmaster_start_time() <= clock_timestamp() - make_interval(secs => :grace)))
RETURNING run_id, lease_epoch, lease_expires_at
""")

_LEASE_RENDERS = text("""
UPDATE render SET state = 'leased' WHERE batch_id = :batch AND state = 'pending'
""")

_FENCE = text("""
SELECT 1 FROM batch WHERE id = :batch AND lease_epoch = :epoch AND state = 'leased' FOR SHARE
""")

_HEARTBEAT = text("""
UPDATE batch SET lease_expires_at = clock_timestamp() + make_interval(secs => :ttl)
WHERE id = :batch AND lease_epoch = :epoch AND state = 'leased'
RETURNING run_id, lease_epoch, lease_expires_at
""")

# The finishings are those that open items of any run want of the render.
_WORK = text("""
SELECT r.id, r.fingerprint, r.spec, r.attempts, (
    SELECT coalesce(jsonb_agg(f.spec ORDER BY f.finish_hash), '[]') FROM finishing_recipe f
    WHERE f.workspace_id = r.workspace_id AND f.finish_hash IN (
        SELECT i.finish_hash FROM run_item i WHERE i.render_id = r.id AND i.outcome = 'open')
    ) AS finishings
FROM render r WHERE r.batch_id = :batch AND r.state = 'leased'
ORDER BY r.batch_position, r.id
""")

# A render that was cancelled while it was being made is there now: kept, not thrown away.
_RENDERED = text("""
UPDATE render SET state = 'rendered', object_key = :object_key, sha256 = :sha256, bytes = :bytes,
    device = :device, timings = CAST(:timings AS jsonb), attempts = attempts + 1, ended_at = now(),
    error_class = NULL, error_message = NULL, error_retryable = NULL
WHERE id = :render AND batch_id = :batch AND state IN ('leased', 'cancelled')
RETURNING id
""")

_ALREADY_RENDERED = text("""
SELECT 1 FROM render
WHERE id = :render AND batch_id = :batch AND state = 'rendered' AND sha256 = :sha256
""")

_FAILED = text("""
UPDATE render SET state = 'failed', error_class = :error_class, error_message = :error_message,
    error_retryable = :retryable, attempts = attempts + 1, ended_at = now()
WHERE id = :render AND batch_id = :batch AND state = 'leased'
""")

_END = text("""
UPDATE batch SET state = CAST(:state AS batch_state), lease_owner = NULL, lease_expires_at = NULL,
    ended_at = CASE WHEN CAST(:state AS text) = 'pending' THEN NULL ELSE now() END,
    attempts = attempts - :uncounted, submitted_at = CASE
        WHEN CAST(:state AS text) <> 'pending' THEN submitted_at END,
    error_class = :error_class, error_message = :error_message
WHERE id = :batch AND lease_epoch = :epoch
""")

_HAND_BACK_RENDERS = text("""
UPDATE render SET state = 'pending' WHERE batch_id = :batch AND state = 'leased'
""")

_FREE_RENDERS = text("""
UPDATE render SET state = 'pending', batch_id = NULL, batch_position = NULL
WHERE batch_id = :batch AND state = 'leased'
""")

_FAIL_RENDERS = text("""
UPDATE render SET state = 'failed', error_class = :error_class, error_message = :error_message,
    error_retryable = :retryable, attempts = attempts + 1, ended_at = now()
WHERE batch_id = :batch AND state = 'leased'
""")


def claim(
    tx: Transaction,
    batch_id: int,
    owner: str,
    ttl_s: float,
    *,
    worker: str | None = None,
    grace_s: float = 0.0,
) -> Lease | None:
    """Takes hold of a batch that is pending, or whose lease has run out; None if it is neither.

    `worker` is the name under which processes (`owner`) follow one another; `grace_s`: how long
    after a start of the server no lease counts as run out.
    """
    values = {"batch": batch_id, "owner": owner, "ttl": ttl_s, "grace": grace_s}
    row = tx.execute(_CLAIM, values).one_or_none()
    if row is None:
        return None
    attempts.lose(tx, [batch_id])
    tx.execute(_LEASE_RENDERS, {"batch": batch_id})
    lease = Lease(batch_id, row.run_id, owner, row.lease_epoch, row.lease_expires_at)
    attempts.begin(tx, lease, worker or owner)
    return lease


def heartbeat(tx: Transaction, lease: Lease, ttl_s: float) -> Lease:
    """Holds on for another `ttl_s`. Raises LeaseLostError."""
    values = {"batch": lease.batch_id, "epoch": lease.epoch, "ttl": ttl_s}
    row = tx.execute(_HEARTBEAT, values).one_or_none()
    if row is None:
        raise _lost(lease)
    return Lease(lease.batch_id, row.run_id, lease.owner, row.lease_epoch, row.lease_expires_at)


def hold(tx: Transaction, lease: Lease) -> None:
    """The fence: from here to the commit the lease holds. Raises LeaseLostError."""
    values = {"batch": lease.batch_id, "epoch": lease.epoch}
    if tx.execute(_FENCE, values).one_or_none() is None:
        raise _lost(lease)


def work(tx: Transaction, lease: Lease) -> tuple[RenderWork, ...]:
    """What is still to be rendered of the batch, in order. Raises LeaseLostError.

    Asked again between micro-batches, it leaves out what was cancelled meanwhile.
    """
    hold(tx, lease)
    return tuple(
        RenderWork(
            r.id,
            r.fingerprint,
            RenderSpec.from_json(r.spec),
            r.attempts,
            tuple(FinishingSpec.from_json(f) for f in r.finishings),
        )
        for r in tx.execute(_WORK, {"batch": lease.batch_id})
    )


def mark_rendered(tx: Transaction, lease: Lease, render_id: int, stored: StoredRender) -> None:
    """Records a render whose object is stored; saying the same twice does nothing.

    Raises LeaseLostError, also when the render is no longer in this batch.
    """
    hold(tx, lease)
    values = {
        "render": render_id,
        "batch": lease.batch_id,
        "object_key": stored.object_key,
        "sha256": stored.sha256,
        "bytes": stored.bytes,
        "device": stored.device,
        "timings": as_json(stored.timings),
    }
    if tx.execute(_RENDERED, values).one_or_none() is not None:
        return
    if tx.execute(_ALREADY_RENDERED, values).one_or_none() is None:
        raise _lost(lease)


def mark_failed(
    tx: Transaction,
    lease: Lease,
    render_id: int,
    *,
    error_class: str,
    message: str,
    retryable: bool,
) -> None:
    """Records that a render failed; one that was cancelled meanwhile stays so."""
    hold(tx, lease)
    values = _error(error_class, message, retryable)
    tx.execute(_FAILED, {"render": render_id, "batch": lease.batch_id, **values})


def release(
    tx: Transaction,
    lease: Lease,
    *,
    ending: AttemptEnding = AttemptEnding.RETURNED,
    error: AdloomError | None = None,
) -> None:
    """Hands the batch back unfinished: it is pending again.

    An attempt that was `drained` is not counted: the worker stops, nothing went wrong.
    """
    _end(tx, lease, "pending", uncounted=1 if ending is AttemptEnding.DRAINED else 0)
    attempts.end(tx, lease, ending, error)
    tx.execute(_HAND_BACK_RENDERS, {"batch": lease.batch_id})


def finish(tx: Transaction, lease: Lease) -> None:
    """Ends the batch; what was neither rendered nor failed is pending again, in no batch."""
    _end(tx, lease, "done")
    attempts.end(tx, lease, AttemptEnding.FINISHED)
    tx.execute(_FREE_RENDERS, {"batch": lease.batch_id})


def fail(tx: Transaction, lease: Lease, error: AdloomError) -> None:
    """Ends the batch as failed, and with it the renders that it has not made."""
    values = _error(error.error_class, str(error), error.retryable)
    _end(tx, lease, "failed", values["error_class"], values["error_message"])
    attempts.end(tx, lease, AttemptEnding.FAILED, error)
    tx.execute(_FAIL_RENDERS, {"batch": lease.batch_id, **values})


def _end(
    tx: Transaction,
    lease: Lease,
    state: str,
    error_class: str | None = None,
    error_message: str | None = None,
    *,
    uncounted: int = 0,
) -> None:
    hold(tx, lease)
    values = {
        "batch": lease.batch_id,
        "epoch": lease.epoch,
        "state": state,
        "error_class": error_class,
        "error_message": error_message,
        "uncounted": uncounted,
    }
    tx.execute(_END, values)


def _error(error_class: str, text: str, retryable: bool) -> dict[str, Any]:
    return {"error_class": error_class, "error_message": bounded(text), "retryable": retryable}


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(
        f"'{lease.owner}' no longer holds the batch (epoch {lease.epoch}); nothing was written",
        where=f"batch {lease.batch_id}",
    )
