"""Failed items: selected by run, error and age, and opened again."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from adloom.records import FailedItem, FailureFilter, PastFailure, ReopenCounts
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
    AND (CAST(:below AS bigint) IS NULL OR i.attempts < :below)
    AND (NOT :spares_deadly OR i.error_class <> 'DeadlyRenderError'
        OR i.error_class = CAST(:error_class AS text))
"""

_FAILED = text(f"""
SELECT i.id, i.run_id, i.render_id, {SLOT}, i.error_class, i.error_message, i.error_retryable,
    i.attempts, i.ended_at
FROM run_item i JOIN creative c ON c.id = i.creative_id
WHERE {FAILED_WHERE}
ORDER BY i.id
""")

_COUNT = text(f"""
SELECT count(*) FROM run_item i JOIN creative c ON c.id = i.creative_id WHERE {FAILED_WHERE}
""")

# The worker is that of the attempt at the batch which was under way.
_PAST = text("""
SELECT f.render_id, f.created_at, f.attempts, f.error_class, f.error_message, f.error_retryable,
    coalesce((SELECT a.worker FROM batch_attempt a
        WHERE a.batch_id = f.batch_id AND a.started_at <= f.created_at
        ORDER BY a.started_at DESC LIMIT 1), '') AS worker
FROM render_failure f WHERE f.render_id = ANY (CAST(:renders AS bigint[])) ORDER BY f.id
""")

# Of each campaign the newest run that has ended: later ones plan anew what earlier ones left.
_WITH_FAILURES = text("""
SELECT DISTINCT ON (r.campaign_id) r.id FROM run r JOIN campaign c ON c.id = r.campaign_id
WHERE r.workspace_id = :ws AND r.state IN ('complete', 'failed')
    AND (CAST(:campaign AS text) IS NULL OR c.slug = :campaign)
    AND NOT EXISTS (SELECT FROM run u WHERE u.campaign_id = r.campaign_id
        AND u.state IN ('planning', 'rendering', 'judging'))
ORDER BY r.campaign_id, r.id DESC
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


def count_failed(tx: Transaction, ws: int, chosen: FailureFilter) -> int:
    """How many failed items there are for which all chosen conditions hold."""
    return int(tx.execute(_COUNT, failure_values(ws, chosen)).scalar_one())


def past_failures(tx: Transaction, render_ids: Sequence[int]) -> dict[int, tuple[PastFailure, ...]]:
    """Each time that these renders failed, in order."""
    found: defaultdict[int, list[PastFailure]] = defaultdict(list)
    for r in tx.execute(_PAST, {"renders": list(render_ids)}):
        found[r.render_id].append(
            PastFailure(
                r.created_at, r.attempts, r.worker, r.error_class, r.error_message,
                r.error_retryable,
            )
        )  # fmt: skip
    return {render: tuple(failures) for render, failures in found.items()}


def newest_ended(tx: Transaction, ws: int, campaign: str | None = None) -> tuple[int, ...]:
    """The newest run of each campaign, or of one, if no run of it is under way."""
    found = tx.execute(_WITH_FAILURES, {"ws": ws, "campaign": campaign})
    return tuple(sorted(r.id for r in found))


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
        "below": chosen.below_attempts,
        "spares_deadly": chosen.spares_deadly,
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
