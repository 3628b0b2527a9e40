"""Runs as pages list them, and what an act on one of them would concern."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from adloom.errors import NotFoundError
from adloom.records import FailureFilter
from adloom.run_figures import RunRow
from adloom.states import RunState, Trigger
from db.engine import Transaction
from db.queries.figures import figures_of
from db.queries.retrying import FAILED_WHERE, failure_values

_ROWS = """
SELECT r.id, c.slug AS campaign, r.state, r.trigger, r.planned_slots, r.created_at, r.ended_at,
    r.paused_at, r.error_class, r.error_message,
    coalesce(r.lease_expires_at > clock_timestamp(), false) AS is_coordinated,
    f.body, f.measured_at, CAST(f.state AS text) AS figures_state
FROM run r JOIN campaign c ON c.id = r.campaign_id LEFT JOIN run_figures f ON f.run_id = r.id
WHERE r.workspace_id = :ws
"""

_PAGE = text(f"""{_ROWS}
    AND (CAST(:before AS bigint) IS NULL OR r.id < :before)
    AND (CAST(:campaign AS text) IS NULL OR c.slug = :campaign)
    AND (CAST(:states AS text[]) IS NULL OR CAST(r.state AS text) = ANY (:states))
ORDER BY r.id DESC LIMIT :limit
""")

_ONE = text(f"{_ROWS} AND r.id = :run")

_SPEC = text("SELECT spec, weights_hash FROM run WHERE workspace_id = :ws AND id = :run")

_BEFORE = text("""
SELECT o.id, o.spec, o.weights_hash FROM run r JOIN run o ON o.campaign_id = r.campaign_id
WHERE r.workspace_id = :ws AND r.id = :run AND o.id < r.id ORDER BY o.id DESC LIMIT 1
""")

_WOULD_RETRY = text(f"""
SELECT count(*) AS items, count(DISTINCT i.render_id) AS renders,
    count(*) FILTER (WHERE NOT coalesce(i.error_retryable, false)) AS permanent
FROM run_item i JOIN creative c ON c.id = i.creative_id WHERE {FAILED_WHERE}
""")

_FAILED_PAGE = text(f"""
SELECT i.id, i.creative_id, p.external_id, p.title, c.scene_slug, c.format_slug, c.variant,
    i.error_class, left(i.error_message, 300) AS message, coalesce(i.error_retryable, false)
        AS retryable, i.attempts, i.ended_at
FROM run_item i JOIN creative c ON c.id = i.creative_id JOIN product p ON p.id = c.product_id
WHERE {FAILED_WHERE} AND i.id > :after ORDER BY i.id LIMIT :limit
""")

_WOULD_CANCEL = text("""
WITH open AS MATERIALIZED (
    SELECT DISTINCT render_id FROM run_item WHERE run_id = :run AND outcome = 'open'
)
SELECT (SELECT count(*) FROM run_item WHERE run_id = :run AND outcome = 'open') AS items,
    (SELECT count(*) FROM batch WHERE run_id = :run AND state = 'pending') AS batches,
    (SELECT count(*) FROM batch WHERE run_id = :run AND state = 'leased') AS under_way,
    (SELECT count(*) FROM open o JOIN render r ON r.id = o.render_id
        WHERE r.state IN ('pending', 'leased') AND NOT EXISTS (
            SELECT FROM run_item i WHERE i.render_id = o.render_id AND i.outcome = 'open'
                AND i.run_id <> :run)) AS renders
""")


@dataclass(frozen=True, slots=True)
class SpecOfRun:
    """A run's frozen spec as plain values."""

    run_id: int
    spec: dict[str, Any]
    weights_hash: str | None


@dataclass(frozen=True, slots=True)
class RetryCounts:
    """What a retry would open again; `permanent` items failed for what trying again cannot mend."""

    items: int
    renders: int
    permanent: int


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """What is open of a run: items, batches that nobody has begun and that are under way, and the
    renders still to come that no other run needs."""

    items: int
    batches: int
    under_way: int
    renders: int


@dataclass(frozen=True, slots=True)
class FailedLine:
    run_item_id: int
    creative_id: int
    external_id: str
    title: str
    scene: str
    format: str
    variant: int
    error_class: str
    message: str
    retryable: bool
    attempts: int
    ended_at: Any


def page(
    tx: Transaction,
    ws: int,
    *,
    before: int | None = None,
    campaign: str | None = None,
    states: tuple[RunState, ...] = (),
    limit: int = 50,
) -> tuple[RunRow, ...]:
    """Runs, newest first, those with a number below `before`."""
    values = {
        "ws": ws,
        "before": before,
        "campaign": campaign,
        "states": [s.value for s in states] or None,
        "limit": limit,
    }
    return tuple(_row(r) for r in tx.execute(_PAGE, values))


def row(tx: Transaction, ws: int, run_id: int) -> RunRow:
    """Raises NotFoundError."""
    found = tx.execute(_ONE, {"ws": ws, "run": run_id}).one_or_none()
    if found is None:
        raise NotFoundError(f"no run {run_id}", hint="see the list of runs")
    return _row(found)


def spec_of(tx: Transaction, ws: int, run_id: int) -> SpecOfRun:
    """Raises NotFoundError."""
    found = tx.execute(_SPEC, {"ws": ws, "run": run_id}).one_or_none()
    if found is None:
        raise NotFoundError(f"no run {run_id}", hint="see the list of runs")
    return SpecOfRun(run_id, found.spec, found.weights_hash)


def spec_before(tx: Transaction, ws: int, run_id: int) -> SpecOfRun | None:
    """The spec of the run of the same campaign before this one."""
    found = tx.execute(_BEFORE, {"ws": ws, "run": run_id}).one_or_none()
    return None if found is None else SpecOfRun(found.id, found.spec, found.weights_hash)


def would_retry(tx: Transaction, ws: int, chosen: FailureFilter) -> RetryCounts:
    return RetryCounts(*tx.execute(_WOULD_RETRY, failure_values(ws, chosen)).one())


def would_cancel(tx: Transaction, run_id: int) -> OpenCounts:
    return OpenCounts(*tx.execute(_WOULD_CANCEL, {"run": run_id}).one())


def failed_page(
    tx: Transaction, ws: int, chosen: FailureFilter, *, after: int = 0, limit: int = 50
) -> tuple[FailedLine, ...]:
    """Failed items in the order of their numbers, those beyond `after`."""
    values = {**failure_values(ws, chosen), "after": after, "limit": limit}
    return tuple(FailedLine(*r) for r in tx.execute(_FAILED_PAGE, values))


def _row(r: Any) -> RunRow:
    return RunRow(
        id=r.id,
        campaign=r.campaign,
        state=RunState(r.state),
        trigger=Trigger(r.trigger),
        planned_slots=r.planned_slots,
        created_at=r.created_at,
        ended_at=r.ended_at,
        paused_at=r.paused_at,
        error_class=r.error_class,
        error_message=r.error_message,
        is_coordinated=r.is_coordinated,
        figures=figures_of(r.body, r.measured_at, r.figures_state),
    )
