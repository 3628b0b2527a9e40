"""Cancelling runs, or what is open of some creatives, without taking a render that others need."""

from collections.abc import Sequence

from sqlalchemy import text

from adloom.errors import AdloomError
from adloom.records import CancelCounts
from db.copying import stage
from db.engine import Transaction
from db.text import bounded

_LOCK_RUN = text("SELECT 1 FROM run WHERE id = :run FOR NO KEY UPDATE")

# Batches before renders, as a worker that claims one locks them.
_LOCK_BATCHES = text("""
SELECT id FROM batch WHERE run_id = :run AND state = 'pending' ORDER BY id FOR UPDATE
""")

_CANCEL_ITEMS = text("""
UPDATE run_item SET outcome = 'cancelled', ended_at = now()
WHERE run_id = :run AND outcome = 'open'
RETURNING render_id
""")

# Locked before the question who needs them is asked: the answer then cannot change (add_items
# takes the same lock before it says that it needs them).
_LOCK_RENDERS = text("""
SELECT id FROM render
WHERE id = ANY (CAST(:renders AS bigint[])) AND state IN ('pending', 'leased')
ORDER BY id FOR NO KEY UPDATE
""")

_CANCEL_RENDERS = text("""
UPDATE render r SET state = 'cancelled', ended_at = now()
WHERE r.id = ANY (CAST(:renders AS bigint[])) AND r.state IN ('pending', 'leased')
    AND NOT EXISTS (SELECT FROM run_item i WHERE i.render_id = r.id AND i.outcome = 'open')
RETURNING r.id
""")

_CANCEL_BATCHES = text("""
UPDATE batch SET state = 'cancelled', ended_at = now() WHERE run_id = :run AND state = 'pending'
RETURNING id
""")

_FREE_RENDERS = text("""
UPDATE render SET batch_id = NULL, batch_position = NULL
WHERE batch_id = ANY (CAST(:batches AS bigint[])) AND state = 'pending'
""")

_END_RUN = text("""
UPDATE run SET state = 'cancelled', ended_at = now()
WHERE id = :run AND state IN ('planning', 'rendering', 'judging')
""")


# Of what the run waits for, all that nobody makes at the moment. A render that is `leased` in a
# batch which has ended is made by nobody, either.
_LOCK_UNBEGUN = text("""
SELECT r.id FROM render r
WHERE r.state IN ('pending', 'leased') AND r.id IN (
        SELECT i.render_id FROM run_item i WHERE i.run_id = :run AND i.outcome = 'open')
    AND NOT EXISTS (SELECT FROM batch b WHERE b.id = r.batch_id AND b.state = 'leased')
ORDER BY r.id FOR NO KEY UPDATE OF r
""")

_STOP_ITEMS = text("""
UPDATE run_item i SET outcome = 'cancelled', ended_at = now(), error_class = :error_class,
    error_message = :message, error_retryable = true
WHERE i.run_id = :run AND i.outcome = 'open' AND i.render_id = ANY (CAST(:renders AS bigint[]))
RETURNING i.render_id
""")

_FAIL_ITEMS = text("""
UPDATE run_item SET outcome = 'failed', ended_at = now(), error_class = :error_class,
    error_message = :message, error_retryable = :retryable
WHERE run_id = :run AND outcome = 'open'
RETURNING render_id
""")

# Handed back when their run had ended: by a worker that was lost, or told to stop.
_LOCK_LEFT = text("""
SELECT b.id FROM batch b JOIN run u ON u.id = b.run_id
WHERE b.workspace_id = :ws AND b.state = 'pending'
    AND u.state IN ('complete', 'failed', 'cancelled')
ORDER BY b.id FOR UPDATE OF b SKIP LOCKED
""")

_LOCK_RENDERS_OF = text("""
SELECT id FROM render
WHERE batch_id = ANY (CAST(:batches AS bigint[])) AND state IN ('pending', 'leased')
ORDER BY id FOR NO KEY UPDATE
""")

_END_LEFT = text("""
UPDATE batch b SET state = 'cancelled', ended_at = now()
WHERE b.id = ANY (CAST(:batches AS bigint[])) AND NOT EXISTS (
    SELECT FROM render r WHERE r.batch_id = b.id AND r.state IN ('pending', 'leased'))
RETURNING b.id
""")

_STOPPED_FOR = text("UPDATE run SET stopped_for = coalesce(stopped_for, :message) WHERE id = :run")

ENDING = "id bigint"

_ENDING_PRODUCTS = text("""
INSERT INTO pg_temp.ending_creative (id)
SELECT c.id FROM creative c WHERE c.product_id = ANY (CAST(:products AS bigint[]))
""")

# In the order of ids, so that two that end items wait for one another instead of deadlocking.
_LOCK_STAGED_ITEMS = text("""
SELECT i.id FROM run_item i JOIN pg_temp.ending_creative e ON e.id = i.creative_id
WHERE i.outcome = 'open' ORDER BY i.id FOR NO KEY UPDATE OF i
""")

_CANCEL_LOCKED_ITEMS = text("""
UPDATE run_item SET outcome = 'cancelled', ended_at = now()
WHERE id = ANY (CAST(:items AS bigint[])) AND outcome = 'open'
RETURNING render_id
""")


def cancel(tx: Transaction, run_id: int) -> CancelCounts:
    """Ends a run's open items, and the renders that no other open item needs.

    Batches that nobody has begun end too, and what others need of them is free to be cut anew. A
    batch being worked on goes on with what is still needed of it.
    """
    tx.execute(_LOCK_RUN, {"run": run_id})
    tx.execute(_LOCK_BATCHES, {"run": run_id})
    renders = list(tx.execute(_CANCEL_ITEMS, {"run": run_id}).scalars())
    counts = _end_unneeded(tx, run_id, renders)
    tx.execute(_END_RUN, {"run": run_id})
    return counts


def fail_open(tx: Transaction, run_id: int, error: AdloomError) -> None:
    """Ends a run's open items as failed with the run's own error, and what nobody else needs of
    their renders as cancelled; a retry opens them again."""
    reason = {"error_class": error.error_class, "message": bounded(str(error))}
    tx.execute(_LOCK_RUN, {"run": run_id})
    tx.execute(_LOCK_BATCHES, {"run": run_id})
    items = {"run": run_id, "retryable": error.retryable, **reason}
    _end_unneeded(tx, run_id, list(tx.execute(_FAIL_ITEMS, items).scalars()))


def end_left(tx: Transaction, ws: int) -> int:
    """Ends the batches that wait though their run has ended, but for those that hold what another
    run needs; returns how many. Else they would wait for ever."""
    left = list(tx.execute(_LOCK_LEFT, {"ws": ws}).scalars())
    if not left:
        return 0
    renders = list(tx.execute(_LOCK_RENDERS_OF, {"batches": left}).scalars())
    tx.execute(_CANCEL_RENDERS, {"renders": renders})
    return len(tx.execute(_END_LEFT, {"batches": left}).all())


def stop(tx: Transaction, run_id: int, error: AdloomError) -> CancelCounts:
    """Ends, for the error's reason, what of a run nobody has begun; the run goes on with the rest.

    To be repeated while any of it is under way: a batch that loses its worker is not begun, again.
    """
    reason = {"error_class": error.error_class, "message": bounded(error.message)}
    tx.execute(_LOCK_RUN, {"run": run_id})
    tx.execute(_LOCK_BATCHES, {"run": run_id})
    unbegun = list(tx.execute(_LOCK_UNBEGUN, {"run": run_id}).scalars())
    items = {"run": run_id, "renders": unbegun, **reason}
    return _end_unneeded(tx, run_id, list(tx.execute(_STOP_ITEMS, items).scalars()))


def _end_unneeded(tx: Transaction, run_id: int, renders: Sequence[int]) -> CancelCounts:
    """Ends the renders of items that have ended, unless another open item needs them, and the run's
    batches that nobody has begun."""
    tx.execute(_LOCK_RENDERS, {"renders": sorted(set(renders))})
    cancelled = tx.execute(_CANCEL_RENDERS, {"renders": renders}).all()
    batches = list(tx.execute(_CANCEL_BATCHES, {"run": run_id}).scalars())
    tx.execute(_FREE_RENDERS, {"batches": batches})
    return CancelCounts(len(renders), len(cancelled), len(batches))


def note_stopped(tx: Transaction, run_id: int, error: AdloomError) -> None:
    """Says in a run's row why it ends before its plan; the first reason stays."""
    tx.execute(_STOPPED_FOR, {"run": run_id, "message": bounded(error.message)})


def end_products(tx: Transaction, product_ids: Sequence[int]) -> CancelCounts:
    """Ends what is open of products that are no longer sold: see `end_staged`."""
    stage(tx, "ending_creative", ENDING, ())
    tx.execute(_ENDING_PRODUCTS, {"products": list(product_ids)})
    return end_staged(tx)


def end_staged(tx: Transaction) -> CancelCounts:
    """Cancels the open items of the creatives in `ending_creative`, in every run, and the renders
    that no other open item needs. Runs and batches go on with what is left."""
    items = list(tx.execute(_LOCK_STAGED_ITEMS).scalars())
    renders = list(tx.execute(_CANCEL_LOCKED_ITEMS, {"items": items}).scalars())
    tx.execute(_LOCK_RENDERS, {"renders": sorted(set(renders))})
    cancelled = tx.execute(_CANCEL_RENDERS, {"renders": renders}).all()
    return CancelCounts(len(renders), len(cancelled), 0)
