"""Failed items: selected by run, error and age, and opened again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from adloom.records import FailedItem, FailureFilter, ReopenCounts
from db.engine import Transaction
from db.queries import runs
from db.queries.judging import SLOT, slot_of
from db.queries.run_items import reset_renders

FAILED_WHERE = """
i.workspace_id = :ws AND i.outcome = 'failed' AND c.recall_id IS NULL
    AND (CAST(:run AS bigint) IS NULL OR i.run_id = :run)
    AND (CAST(:items AS bigint[]) IS NULL OR i.id = ANY (CAST(:items AS bigint[])))
    AND (CAST(:error_class AS text) IS NULL OR i.error_class = :error_class)
    AND (CAST(:reason AS text) IS NULL OR strpos(
        lower(i.error_class || ': ' || i.error_message), lower(:reason)) > 0)
    AND (CAST(:older AS float8) IS NULL OR i.ended_at <= now() - make_interval(secs => :older))
    AND (CAST(:newer AS float8) IS NULL OR i.ended_at >= now() - make_interval(secs => :newer))
    AND (NOT :retryable_only OR i.error_retryable)
"""

_FAILED = text(f"""
SELECT i.id, i.run_id, i.render_id, {SLOT}, i.error_class, i.error_message, i.error_retryable,
    i.attempts, i.ended_at
FROM run_item i JOIN creative c ON c.id = i.creative_id
WHERE {FAILED_WHERE}
ORDER BY i.id
""")

_REOPEN = text("""
UPDATE run_item SET outcome = 'open', ended_at = NULL, error_class = NULL, error_message = NULL,
    error_retryable = NULL
WHERE workspace_id = :ws AND id = ANY (CAST(:items AS bigint[])) AND outcome = 'failed'
RETURNING run_id, render_id
""")

_UNBLOCK = text("""
UPDATE finishing_failure f SET blocks = false
FROM run_item i
WHERE i.id = ANY (CAST(:items AS bigint[])) AND i.outcome = 'open'
    AND f.render_id = i.render_id AND f.finish_hash = i.finish_hash
""")

_LOCK_RENDERS = text("""
SELECT id FROM render WHERE id = ANY (CAST(:renders AS bigint[])) ORDER BY id FOR NO KEY UPDATE
""")


def failed_items(tx: Transaction, ws: int, chosen: FailureFilter) -> tuple[FailedItem, ...]:
    """The failed items for which all chosen conditions hold."""
    return tuple(
        FailedItem(
            run_id=r.run_id,
            run_item_id=r.id,
            render_id=r.render_id,
            slot=slot_of(r),
            error_class=r.error_class,
            error_message=r.error_message,
            retryable=bool(r.error_retryable),
            attempts=r.attempts,
            ended_at=r.ended_at,
        )
        for r in tx.execute(_FAILED, failure_values(ws, chosen))
    )


def failure_values(ws: int, chosen: FailureFilter) -> dict[str, Any]:
    """What `FAILED_WHERE` asks for."""
    return {
        "ws": ws,
        "run": chosen.run_id,
        "items": None if chosen.run_item_ids is None else list(chosen.run_item_ids),
        "error_class": chosen.error_class,
        "reason": chosen.reason,
        "older": chosen.older_than_s,
        "newer": chosen.newer_than_s,
        "retryable_only": chosen.retryable_only,
    }


def reopen(tx: Transaction, ws: int, run_item_ids: Sequence[int]) -> ReopenCounts:
    """Opens failed items again, and their runs; attempts stay counted.

    Their failed renders become pending. A render that another run has made meanwhile is left as it
    is: its item has only to be judged.
    """
    values = {"ws": ws, "items": list(run_item_ids)}
    reopened = tx.execute(_REOPEN, values).all()
    of_runs = tuple(sorted({r.run_id for r in reopened}))
    renders = sorted({r.render_id for r in reopened})
    tx.execute(_UNBLOCK, values)
    tx.execute(_LOCK_RENDERS, {"renders": renders})
    reset = reset_renders(tx, renders, reset_failed=True)
    runs.go_on(tx, of_runs)
    return ReopenCounts(len(reopened), reset, of_runs)
