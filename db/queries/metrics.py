"""Counts for metrics. Each is asked every few seconds beside a running night, so none may read a
table that grows with the catalogue: live batches, live runs and what ended lately have indexes of
their own; renders beyond `EXACT_BELOW` are estimated as Postgres' planner does."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from adloom.records.metrics import (
    CompletedRun,
    EndedAttempts,
    QueueDepth,
    RenderCounts,
    RunCounts,
)
from adloom.states import AttemptEnding, BatchState, Outcome, RenderState
from db.engine import Transaction

EXACT_BELOW = 200_000
"""Renders of all workspaces up to which those of one are counted."""
SETTLED_S = 10.0
"""An attempt's end is counted so long after it was written: its transaction has committed then."""
_ENDED_BADLY = (RenderState.FAILED, RenderState.CANCELLED)

_TIMEOUT = text("SELECT set_config('statement_timeout', :timeout, true)")

_QUEUE = text("""
SELECT b.state, count(*) AS batches, sum(b.size) AS renders,
    coalesce(extract(epoch FROM clock_timestamp()
        - min(b.created_at) FILTER (WHERE r.paused_at IS NULL)), 0) AS oldest_s
FROM batch b JOIN run r ON r.id = b.run_id
WHERE b.workspace_id = :ws AND b.state IN ('pending', 'leased')
GROUP BY b.state
""")

_ROWS = text("SELECT reltuples FROM pg_class WHERE oid = CAST('render' AS regclass)")
_RENDERS = text("SELECT state, count(*) AS n FROM render WHERE workspace_id = :ws GROUP BY state")
_ESTIMATE = text("""
EXPLAIN (FORMAT JSON) SELECT FROM render
WHERE workspace_id = :ws AND state = CAST(:state AS render_state)
""")
_BADLY = text("""
SELECT state, count(*) AS n FROM render
WHERE workspace_id = :ws AND state IN ('failed', 'cancelled') GROUP BY state
""")

_UNTIL = text("SELECT clock_timestamp() - make_interval(secs => :settled)")
_ENDED = text("""
SELECT ending, coalesce(error_class, '') AS error_class, count(*) AS n FROM batch_attempt
WHERE workspace_id = :ws AND ended_at <= :until
    AND (CAST(:since AS timestamptz) IS NULL OR ended_at > :since)
GROUP BY 1, 2
""")

_RUNS = """
SELECT r.id, c.slug AS campaign, r.state, r.paused_at IS NOT NULL AS paused, r.planned_slots,
    r.created_at
FROM run r JOIN campaign c ON c.id = r.campaign_id
WHERE r.workspace_id = :ws AND {chosen}
ORDER BY r.id DESC LIMIT :limit
"""
_LIVE = text(_RUNS.format(chosen="r.state IN ('planning', 'rendering', 'judging')"))
_THESE = text(_RUNS.format(chosen="r.id = ANY (CAST(:runs AS bigint[]))"))

_ITEMS = text("""
SELECT run_id, outcome, coalesce(error_class, '') AS error_class, count(*) AS n FROM run_item
WHERE run_id = ANY (CAST(:runs AS bigint[])) AND outcome <> 'superseded' GROUP BY 1, 2, 3
""")

_COMPLETED = text("""
SELECT c.slug AS campaign, r.id, r.ended_at
FROM campaign c CROSS JOIN LATERAL (
    SELECT id, ended_at FROM run WHERE campaign_id = c.id AND state = 'complete'
    ORDER BY id DESC LIMIT 1) AS r
WHERE c.workspace_id = :ws ORDER BY r.ended_at DESC LIMIT :limit
""")


def limit_time(tx: Transaction, seconds: float) -> None:
    """Has Postgres break off, in this transaction, what takes longer."""
    tx.execute(_TIMEOUT, {"timeout": f"{int(1000 * seconds)}ms"})


def queue(tx: Transaction, ws: int) -> tuple[QueueDepth, ...]:
    """Live batches: those that wait, and those that workers hold."""
    return tuple(
        QueueDepth(BatchState(r.state), r.batches, int(r.renders), float(r.oldest_s))  # pyright: ignore[reportArgumentType]
        for r in tx.execute(_QUEUE, {"ws": ws})
    )


def renders(tx: Transaction, ws: int, *, exact_below: int = EXACT_BELOW) -> RenderCounts:
    """Renders by state: counted where there are few, else estimated; failed and cancelled ones are
    always counted."""
    known = tx.execute(_ROWS).scalar_one()
    if known < exact_below:  # -1: never analysed, so the table is young
        found = {RenderState(r.state): int(r.n) for r in tx.execute(_RENDERS, {"ws": ws})}
        return RenderCounts({state: found.get(state, 0) for state in RenderState}, True)
    counts = {state: _estimate(tx, ws, state) for state in RenderState if state not in _ENDED_BADLY}
    badly = {RenderState(r.state): int(r.n) for r in tx.execute(_BADLY, {"ws": ws})}
    return RenderCounts({**counts, **{s: badly.get(s, 0) for s in _ENDED_BADLY}}, False)


def _estimate(tx: Transaction, ws: int, state: RenderState) -> int:
    [plan] = tx.execute(_ESTIMATE, {"ws": ws, "state": state.value}).scalar_one()
    return int(plan["Plan"]["Plan Rows"])


def settled(tx: Transaction) -> datetime:
    """Until when ends of attempts can be counted for good, by Postgres' clock."""
    return tx.execute(_UNTIL, {"settled": SETTLED_S}).scalar_one()


def ended_attempts(
    tx: Transaction, ws: int, *, since: datetime | None, until: datetime
) -> tuple[EndedAttempts, ...]:
    """Attempts that ended after `since` (None: ever) and at `until` at the latest."""
    values = {"ws": ws, "since": since, "until": until}
    return tuple(
        EndedAttempts(AttemptEnding(r.ending), r.error_class, r.n)
        for r in tx.execute(_ENDED, values)
    )


def live_runs(tx: Transaction, ws: int, *, limit: int = 50) -> tuple[RunCounts, ...]:
    """The newest runs that have not ended, with their items."""
    return _counted(tx, tx.execute(_LIVE, {"ws": ws, "limit": limit}).all())


def counts_of(tx: Transaction, ws: int, run_ids: Sequence[int]) -> tuple[RunCounts, ...]:
    """The items of these runs."""
    values = {"ws": ws, "runs": list(run_ids), "limit": len(run_ids)}
    return _counted(tx, tx.execute(_THESE, values).all())


def completed(tx: Transaction, ws: int, *, limit: int = 100) -> tuple[CompletedRun, ...]:
    """Each campaign's newest completed run, of the campaigns that completed last."""
    return tuple(
        CompletedRun(r.campaign, r.id, r.ended_at)
        for r in tx.execute(_COMPLETED, {"ws": ws, "limit": limit})
    )


def _counted(tx: Transaction, rows: Sequence[Any]) -> tuple[RunCounts, ...]:
    outcomes: dict[int, dict[Outcome, int]] = {r.id: {} for r in rows}
    errors: dict[int, dict[str, int]] = {r.id: {} for r in rows}
    for i in tx.execute(_ITEMS, {"runs": list(outcomes)}) if rows else ():
        outcome = Outcome(i.outcome)
        outcomes[i.run_id][outcome] = outcomes[i.run_id].get(outcome, 0) + i.n
        if outcome is Outcome.FAILED:
            errors[i.run_id][i.error_class] = i.n
    return tuple(
        RunCounts(
            run_id=r.id,
            campaign=r.campaign,
            state=r.state,
            paused=r.paused,
            planned=r.planned_slots,
            created_at=r.created_at,
            outcomes=outcomes[r.id],
            errors=errors[r.id],
        )
        for r in rows
    )
