"""Figures of runs: measured over all of a run's items, and kept."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text

from adloom.run_figures import (
    RECENT_S,
    FailureFigure,
    ReasonFigure,
    RunFigures,
    TimelinePoint,
    YieldFigure,
)
from adloom.states import Disposition, Outcome, RunState
from db.engine import Transaction
from db.queries import pace
from db.text import as_json

TIMELINE_POINTS = 60
EXAMPLES = 4
FAILURES_KEPT = 50
VALUES_KEPT = 300
"""Values of a dimension that are kept apart; what is beyond them is left out of the yields."""

# All of a run's figures are of one moment.
_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

_RUN = text("""
SELECT r.workspace_id, r.state, r.weights_hash, r.created_at, now() AS at,
    greatest(coalesce(r.ended_at, now()), r.created_at + interval '1 s') AS until
FROM run r WHERE r.id = :run
""")

_ITEMS = text("""
SELECT outcome, disposition, count(*) AS n FROM run_item WHERE run_id = :run GROUP BY 1, 2
""")

_SKIPPED = text("SELECT reason, count(*) AS n FROM run_skipped WHERE run_id = :run GROUP BY 1")

_REASONS = text("""
SELECT reason->>'code' AS code, count(*) AS n,
    (array_agg(i.creative_id ORDER BY i.id DESC))[1:CAST(:examples AS integer)] AS examples
FROM run_item i
CROSS JOIN LATERAL (SELECT v.reasons FROM verdict v WHERE v.run_item_id = i.id
    ORDER BY v.created_at DESC, v.id DESC LIMIT 1) v
CROSS JOIN LATERAL jsonb_array_elements(v.reasons) AS reason
WHERE i.run_id = :run AND i.outcome IN ('rejected', 'needs_review')
GROUP BY 1 ORDER BY 2 DESC, 1
""")

_FAILURES = text("""
SELECT error_class, left(error_message, 300) AS message, coalesce(error_retryable, false) AS again,
    count(*) AS n
FROM run_item WHERE run_id = :run AND outcome = 'failed'
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2 LIMIT :limit
""")

_LEFT = text("""
SELECT count(DISTINCT r.id) FROM run_item i JOIN render r ON r.id = i.render_id
WHERE i.run_id = :run AND i.outcome = 'open' AND r.state IN ('pending', 'leased')
""")

# A category by its first two levels: as many as a page can show.
_YIELDS = text("""
WITH live AS MATERIALIZED (
    SELECT i.creative_id, i.outcome, c.format_slug, c.scene_slug || '@' || i.scene_version AS scene,
        array_to_string((string_to_array(p.category, ' > '))[1:2], ' > ') AS category
    FROM run_item i JOIN creative c ON c.id = i.creative_id JOIN product p ON p.id = c.product_id
    WHERE i.run_id = :run AND i.outcome <> 'superseded'
)
SELECT d.dimension, d.value, l.outcome, count(*) AS n, min(l.creative_id) AS first,
    max(l.creative_id) AS last
FROM live l CROSS JOIN LATERAL (VALUES
    ('scene', l.scene), ('category', l.category), ('format', l.format_slug)) AS d(dimension, value)
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2
""")

# What its own batches made, also for draws that were followed by another.
_MADE = text("""
WITH made AS MATERIALIZED (
    SELECT r.ended_at, CAST(r.timings->>'render_s' AS float8) AS seconds
    FROM batch b JOIN render r ON r.batch_id = b.id
    WHERE b.run_id = :run AND r.state = 'rendered'
)
SELECT count(*) AS n, coalesce(sum(seconds), 0) AS seconds, max(ended_at) AS last,
    min(ended_at - make_interval(secs => coalesce(seconds, 0))) AS first,
    count(*) FILTER (WHERE ended_at > now() - make_interval(secs => :recent)) AS recent,
    (SELECT array_agg(ARRAY[bucket, n]) FROM (
        SELECT least(greatest(width_bucket(extract(epoch FROM ended_at),
            extract(epoch FROM CAST(:since AS timestamptz)),
            extract(epoch FROM CAST(:until AS timestamptz)), :points), 1), :points) AS bucket,
            count(*) AS n
        FROM made WHERE ended_at IS NOT NULL GROUP BY 1) AS b) AS buckets
FROM made
""")

_JUDGED = text("""
SELECT least(greatest(width_bucket(extract(epoch FROM ended_at),
        extract(epoch FROM CAST(:since AS timestamptz)),
        extract(epoch FROM CAST(:until AS timestamptz)), :points), 1), :points) AS bucket,
    count(*) AS judged, count(*) FILTER (WHERE outcome = 'approved') AS approved
FROM run_item
WHERE run_id = :run AND outcome IN ('approved', 'needs_review', 'rejected') AND ended_at IS NOT NULL
GROUP BY 1
""")

_WORKERS = text("""
SELECT count(*) AS workers, coalesce(sum(extract(epoch FROM until - since)), 0) AS seconds FROM (
    SELECT coalesce(nullif(a.worker, ''), a.owner) AS worker, min(a.started_at) AS since,
        max(coalesce(a.ended_at, now())) AS until
    FROM batch_attempt a JOIN batch b ON b.id = a.batch_id WHERE b.run_id = :run GROUP BY 1) AS w
""")

_KEEP = text("""
INSERT INTO run_figures (run_id, workspace_id, state, measured_at, took_s, body)
VALUES (:run, :ws, CAST(:state AS run_state), :at, :took, CAST(:body AS jsonb))
ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, measured_at = excluded.measured_at,
    took_s = excluded.took_s, body = excluded.body
WHERE run_figures.measured_at <= excluded.measured_at
RETURNING run_id
""")

_DROP_YIELDS = text("DELETE FROM run_yield WHERE run_id = :run")

_KEEP_YIELDS = text("""
INSERT INTO run_yield (run_id, dimension, value, outcome, workspace_id, items, examples)
SELECT :run, t.dimension, t.value, t.outcome, :ws, t.items, t.examples
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(
    dimension text, value text, outcome outcome, items bigint, examples bigint[])
ON CONFLICT DO NOTHING
""")

# Live ones again when what measuring took is at most a twentieth of the time since; ended ones once
# more after their end. The rest was asked for.
_STALE = text("""
SELECT r.id FROM run r LEFT JOIN run_figures f ON f.run_id = r.id
WHERE r.workspace_id = :ws AND (f.run_id IS NULL OR f.state <> r.state
    OR f.measured_at < coalesce(r.ended_at, '-infinity')
    OR (r.state IN ('planning', 'rendering', 'judging')
        AND f.measured_at < clock_timestamp()
            - make_interval(secs => greatest(:every, 20 * f.took_s))))
ORDER BY (r.state IN ('planning', 'rendering', 'judging')) DESC, r.id DESC LIMIT :limit
""")


_REVIEWED = text("""
SELECT max(v.id) AS newest, array_agg(DISTINCT i.run_id) AS runs FROM (
    SELECT id, creative_id FROM review WHERE workspace_id = :ws AND id > :after
    ORDER BY id LIMIT :limit) v
CROSS JOIN LATERAL (SELECT n.run_id FROM run_item n WHERE n.creative_id = v.creative_id
    ORDER BY n.id DESC LIMIT 1) i
""")

_NEWEST_REVIEW = text("SELECT coalesce(max(id), 0) FROM review")


def measure(tx: Transaction, run_id: int) -> RunFigures | None:
    """Measures a run and keeps what it found; None if there is no such run (any more).

    Reads all items of the run: for work in the background, not for a page. `tx` must be new, and
    TransactionAbortedError says that another process measured the run at the same time.
    """
    began = time.perf_counter()
    tx.execute(_ONE_MOMENT)
    run = tx.execute(_RUN, {"run": run_id}).one_or_none()
    if run is None:
        return None
    figures = _measured(tx, run_id, run)
    yields = _yields(tx, run_id)
    values = {
        "run": run_id,
        "ws": run.workspace_id,
        "state": run.state,
        "at": run.at,
        "took": time.perf_counter() - began,
        "body": as_json(figures.to_json()),
    }
    if tx.execute(_KEEP, values).one_or_none() is not None:  # nobody measured it later than us
        tx.execute(_DROP_YIELDS, {"run": run_id})
        tx.execute(_KEEP_YIELDS, {"run": run_id, "ws": run.workspace_id, "rows": as_json(yields)})
    return figures


def stale(tx: Transaction, ws: int, *, every_s: float, limit: int = 20) -> tuple[int, ...]:
    """Runs whose figures are to be measured: live ones first, then the newest.

    A live run is measured again after `every_s`, or later where measuring it takes long.
    """
    values = {"ws": ws, "every": every_s, "limit": limit}
    return tuple(tx.execute(_STALE, values).scalars())


def newest_review(tx: Transaction) -> int:
    return tx.execute(_NEWEST_REVIEW).scalar_one()


def reviewed_since(
    tx: Transaction, ws: int, review_id: int, *, limit: int = 500
) -> tuple[int, tuple[int, ...]]:
    """The newest of the next reviews after `review_id`, and the runs that they change."""
    values = {"ws": ws, "after": review_id, "limit": limit}
    row = tx.execute(_REVIEWED, values).one()
    return (review_id, ()) if row.newest is None else (row.newest, tuple(row.runs))


def _measured(tx: Transaction, run_id: int, run: Any) -> RunFigures:
    outcomes: dict[Outcome, int] = {}
    dispositions: dict[str, int] = {}
    superseded = 0
    for r in tx.execute(_ITEMS, {"run": run_id}):
        if r.outcome == Outcome.SUPERSEDED:
            superseded += r.n
            continue
        outcomes[Outcome(r.outcome)] = outcomes.get(Outcome(r.outcome), 0) + r.n
        dispositions[r.disposition] = dispositions.get(r.disposition, 0) + r.n
    figures = RunFigures(
        measured_at=run.at,
        state=RunState(run.state),
        outcomes=outcomes,
        new=dispositions.get(Disposition.NEW, 0),
        reused=dispositions.get(Disposition.REUSED, 0),
        superseded=superseded,
        skipped={r.reason: r.n for r in tx.execute(_SKIPPED, {"run": run_id})},
        reasons=_reasons(tx, run_id),
        failures=_failures(tx, run_id),
        left=tx.execute(_LEFT, {"run": run_id}).scalar_one(),
    )
    return _with_pace(tx, run_id, run, figures)


def _with_pace(tx: Transaction, run_id: int, run: Any, figures: RunFigures) -> RunFigures:
    span = {
        "run": run_id,
        "since": run.created_at,
        "until": run.until,
        "points": TIMELINE_POINTS,
    }
    made = tx.execute(_MADE, {**span, "recent": RECENT_S}).one()
    workers = tx.execute(_WORKERS, {"run": run_id}).one()
    lately = None
    if run.weights_hash and figures.left:
        lately = pace.of_weights(tx, run.workspace_id, run.weights_hash)
    return replace(
        figures,
        rendered=made.n,
        render_s=float(made.seconds),
        recent=made.recent,
        first_render_at=made.first,
        last_render_at=made.last,
        worker_s=float(workers.seconds),
        workers=workers.workers,
        render_pace_s=lately.seconds if lately else None,
        timeline=_timeline(dict(made.buckets or ()), tx.execute(_JUDGED, span).all()),
        timeline_from=run.created_at,
        timeline_to=run.until,
    )


def _timeline(rendered: Mapping[int, int], judged: Sequence[Any]) -> tuple[TimelinePoint, ...]:
    of = {r.bucket: r for r in judged}
    return tuple(
        TimelinePoint(
            rendered.get(bucket, 0),
            of[bucket].judged if bucket in of else 0,
            of[bucket].approved if bucket in of else 0,
        )
        for bucket in range(1, TIMELINE_POINTS + 1)
    )


def _reasons(tx: Transaction, run_id: int) -> tuple[ReasonFigure, ...]:
    rows = tx.execute(_REASONS, {"run": run_id, "examples": EXAMPLES})
    return tuple(ReasonFigure(r.code or "?", r.n, tuple(r.examples)) for r in rows)


def _failures(tx: Transaction, run_id: int) -> tuple[FailureFigure, ...]:
    rows = tx.execute(_FAILURES, {"run": run_id, "limit": FAILURES_KEPT})
    return tuple(FailureFigure(r.error_class, r.message, r.again, r.n) for r in rows)


def _yields(tx: Transaction, run_id: int) -> list[dict[str, Any]]:
    kept: dict[str, set[str]] = {}
    rows: list[dict[str, Any]] = []
    for r in tx.execute(_YIELDS, {"run": run_id}):
        values = kept.setdefault(r.dimension, set())
        if r.value not in values and len(values) >= VALUES_KEPT:
            continue
        values.add(r.value)
        examples = sorted({r.first, r.last})
        rows.append({
            "dimension": r.dimension, "value": r.value, "outcome": r.outcome, "items": r.n,
            "examples": examples,
        })  # fmt: skip
    return rows


def yields_of(tx: Transaction, run_id: int, dimension: str) -> tuple[YieldFigure, ...]:
    """A run's kept yields by one dimension."""
    rows = tx.execute(_YIELDS_OF, {"run": run_id, "dimension": dimension})
    return tuple(
        YieldFigure(r.dimension, r.value, Outcome(r.outcome), r.items, tuple(r.examples))
        for r in rows
    )


_YIELDS_OF = text("""
SELECT dimension, value, outcome, items, examples FROM run_yield
WHERE run_id = :run AND dimension = :dimension ORDER BY value, outcome
""")


def figures_of(body: Any, measured_at: datetime | None, state: str | None) -> RunFigures | None:
    """Figures as a query's row has them; None where the run was not measured."""
    if body is None or measured_at is None or state is None:
        return None
    return RunFigures.from_json(body, measured_at=measured_at, state=RunState(state))
