"""Runs: frozen specs, states, summaries with all counts, and the proof that these add up."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.errors import AdloomError, ConflictError, NotFoundError
from adloom.records import Conservation, OrphanedRun, RunRecord, RunSummary
from adloom.states import Disposition, Outcome, RenderState, RunState, Trigger
from db.engine import Transaction
from db.queries import campaigns
from db.queries.run_items import (
    ENDED,
    SlotRows,
    add_items,
    existing,
    lock_run,
    record_skipped,
    stage_slots,
)
from db.text import as_json, bounded

__all__ = [
    "SlotRows",
    "add_items",
    "conservation",
    "create",
    "existing",
    "get",
    "go_on",
    "latest",
    "led_by",
    "list_runs",
    "lock_run",
    "orphaned",
    "record_skipped",
    "set_flow_run",
    "set_paused",
    "set_state",
    "stage_slots",
    "summary",
]

_CREATE = text("""
INSERT INTO run (workspace_id, campaign_id, spec, weights_hash, trigger, prefect_flow_run_id)
VALUES (:ws, :campaign, CAST(:spec AS jsonb), :weights, CAST(:trigger AS run_trigger), :flow_run)
RETURNING id
""")

_SET_STATE = text("""
UPDATE run SET state = CAST(:state AS run_state), error_class = :error_class,
    error_message = :error_message, ended_at = CASE WHEN :ended THEN now() END
WHERE id = :run AND state IN ('planning', 'rendering', 'judging')
    AND NOT (CAST(:state AS text) = 'complete' AND EXISTS (
        SELECT FROM run_item i WHERE i.run_id = run.id AND i.outcome = 'open'))
RETURNING id
""")

_LIVE_AGAIN = text("""
UPDATE run SET state = 'rendering', ended_at = NULL, error_class = NULL, error_message = NULL,
    stopped_for = NULL, spent_since = CASE WHEN ended_at IS NULL THEN spent_since ELSE now() END
WHERE id = ANY (CAST(:runs AS bigint[])) AND state <> 'planning' AND EXISTS (
    SELECT FROM run_item i WHERE i.run_id = run.id AND i.outcome = 'open')
RETURNING id
""")

_SET_FLOW_RUN = text("UPDATE run SET prefect_flow_run_id = :flow_run WHERE id = :run")

_SET_PAUSED = text("""
UPDATE run SET paused_at = CASE WHEN :paused THEN coalesce(paused_at, now()) END
WHERE id = :run AND state IN ('planning', 'rendering', 'judging') RETURNING id
""")

_COLUMNS = """
SELECT r.id, c.slug AS campaign, r.campaign_id, r.spec, r.state, r.trigger, r.weights_hash,
    r.prefect_flow_run_id, r.planned_slots, r.created_at, r.ended_at, r.error_class,
    r.error_message, r.paused_at, r.stopped_for
FROM run r JOIN campaign c ON c.id = r.campaign_id
WHERE r.workspace_id = :ws
"""
_GET = text(f"{_COLUMNS} AND r.id = :run")
_LED_BY = text(
    f"{_COLUMNS} AND r.lease_owner = :owner AND r.state IN ('planning', 'rendering', 'judging') "
    "ORDER BY r.id DESC LIMIT 1"
)
_NEWEST = text(
    f"{_COLUMNS} AND (CAST(:campaign AS text) IS NULL OR c.slug = :campaign) "
    "ORDER BY r.id DESC LIMIT :limit"
)

_ORPHANED = text("""
SELECT r.id, c.slug AS campaign, r.trigger, r.lease_epoch, r.created_at, r.prefect_flow_run_id
FROM run r
JOIN campaign c ON c.id = r.campaign_id
WHERE r.workspace_id = :ws AND r.state IN ('planning', 'rendering', 'judging')
    AND (r.trigger = 'schedule' OR r.prefect_flow_run_id IS NOT NULL) AND r.paused_at IS NULL
    AND (r.lease_owner IS NULL OR r.lease_expires_at < clock_timestamp())
    AND r.created_at < now() - make_interval(secs => 60)
ORDER BY r.id
""")

# Counts of many runs at once: (run, what is counted, under which name, how often).
_COUNTS = text("""
WITH item AS MATERIALIZED (
    SELECT * FROM run_item WHERE run_id = ANY (CAST(:runs AS bigint[]))
), verdicts AS (
    SELECT DISTINCT ON (v.run_item_id) i.run_id, v.reasons FROM verdict v
    JOIN item i ON i.id = v.run_item_id
    WHERE i.outcome IN ('approved', 'rejected', 'needs_review')
    ORDER BY v.run_item_id, v.created_at DESC, v.id DESC
)
SELECT run_id, 'outcome' AS what, CAST(outcome AS text) AS name, count(*) AS n
    FROM item GROUP BY 1, 3
UNION ALL SELECT run_id, 'disposition', CAST(disposition AS text), count(*)
    FROM item WHERE outcome <> 'superseded' GROUP BY 1, 3
UNION ALL SELECT run_id, 'error', error_class, count(*)
    FROM item WHERE outcome = 'failed' GROUP BY 1, 3
UNION ALL SELECT n.run_id, 'render', CAST(r.state AS text), count(*)
    FROM (SELECT DISTINCT run_id, render_id FROM item) n JOIN render r ON r.id = n.render_id
    GROUP BY 1, 3
UNION ALL SELECT v.run_id, 'reason', reason->>'code', count(*)
    FROM verdicts v CROSS JOIN jsonb_array_elements(v.reasons) AS reason GROUP BY 1, 3
UNION ALL SELECT run_id, 'skipped', reason, count(*)
    FROM run_skipped WHERE run_id = ANY (CAST(:runs AS bigint[])) GROUP BY 1, 3
""")

# Each number is counted by its own path; they are equal if and only if nothing was lost or doubled.
_CONSERVATION = text("""
SELECT r.planned_slots,
    (SELECT count(DISTINCT creative_id) FROM run_item i WHERE i.run_id = r.id) AS slots,
    (SELECT count(*) FROM run_item i WHERE i.run_id = r.id AND outcome <> 'superseded') AS live,
    (SELECT coalesce(sum(n), 0) FROM (
        SELECT count(*) AS n FROM run_item i
        WHERE i.run_id = r.id AND outcome <> 'superseded' GROUP BY outcome) AS o) AS outcomes
FROM run r WHERE r.id = :run
""")


def create(
    tx: Transaction,
    ws: int,
    campaign_slug: str,
    *,
    trigger: Trigger,
    weights_hash: str | None,
    flow_run_id: str | None = None,
    spec: CampaignSpec | None = None,
) -> int:
    """Creates a run with the campaign's spec frozen, or with `spec` in its place."""
    campaign = campaigns.get(tx, ws, campaign_slug)
    values = {
        "ws": ws,
        "campaign": campaign.id,
        "spec": as_json((spec or campaign.spec).to_json()),
        "weights": weights_hash,
        "trigger": trigger.value,
        "flow_run": flow_run_id,
    }
    return int(tx.execute(_CREATE, values).scalar_one())


def set_state(
    tx: Transaction, run_id: int, state: RunState, *, error: AdloomError | None = None
) -> None:
    """Moves a run to `state`; an end sets its time, and `error` says why it failed.

    Raises ConflictError for a run that has ended, and for completing one with open items.
    """
    moved = tx.execute(
        _SET_STATE,
        {
            "run": run_id,
            "state": state.value,
            "ended": state in ENDED,
            "error_class": error.error_class if error else None,
            "error_message": bounded(str(error)) if error else None,
        },
    )
    if moved.one_or_none() is None:
        raise ConflictError(
            f"run {run_id} has ended, or has open items; it cannot become {state.value}"
        )


def go_on(tx: Transaction, run_ids: Sequence[int]) -> tuple[int, ...]:
    """Makes planned runs with open items live again, ended or not; returns which have any.

    One that had ended has its budget anew.
    """
    return tuple(sorted(tx.execute(_LIVE_AGAIN, {"runs": list(run_ids)}).scalars()))


def set_paused(tx: Transaction, run_id: int, paused: bool) -> None:
    """Has a live run's coordinator hand over nothing more, or go on. Raises ConflictError."""
    if tx.execute(_SET_PAUSED, {"run": run_id, "paused": paused}).one_or_none() is None:
        raise ConflictError(f"run {run_id} has ended")


def set_flow_run(tx: Transaction, run_id: int, flow_run_id: str) -> None:
    tx.execute(_SET_FLOW_RUN, {"run": run_id, "flow_run": flow_run_id})


def get(tx: Transaction, ws: int, run_id: int) -> RunRecord:
    """Raises NotFoundError."""
    row = tx.execute(_GET, {"ws": ws, "run": run_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no run {run_id}", hint="see `adloom runs`")
    return _run(row)


def latest(tx: Transaction, ws: int, campaign: str | None = None) -> RunRecord | None:
    """The newest run, of one campaign or of all."""
    row = tx.execute(_NEWEST, {"ws": ws, "campaign": campaign, "limit": 1}).one_or_none()
    return None if row is None else _run(row)


def led_by(tx: Transaction, ws: int, owner: str) -> RunSummary | None:
    """The live run that this coordinator holds, with its counts; None if it holds none."""
    row = tx.execute(_LED_BY, {"ws": ws, "owner": owner}).one_or_none()
    return None if row is None else _summaries(tx, [_run(row)])[0]


def orphaned(tx: Transaction, ws: int) -> tuple[OrphanedRun, ...]:
    """Live runs that nobody coordinates and that are not paused: of a schedule, or of a flow run,
    which may be a deployment's."""
    return tuple(
        OrphanedRun(
            run_id=r.id,
            campaign=r.campaign,
            trigger=Trigger(r.trigger),
            epoch=r.lease_epoch,
            created_at=r.created_at,
            flow_run_id=r.prefect_flow_run_id,
        )
        for r in tx.execute(_ORPHANED, {"ws": ws})
    )


def summary(tx: Transaction, ws: int, run_id: int) -> RunSummary:
    """A run with all its counts. Raises NotFoundError."""
    return _summaries(tx, [get(tx, ws, run_id)])[0]


def list_runs(
    tx: Transaction, ws: int, *, campaign: str | None = None, limit: int = 50
) -> tuple[RunSummary, ...]:
    """The newest runs with their counts, newest first."""
    rows = tx.execute(_NEWEST, {"ws": ws, "campaign": campaign, "limit": limit})
    return _summaries(tx, [_run(row) for row in rows])


def conservation(tx: Transaction, run_id: int) -> Conservation:
    """The proof that slots, live items and outcomes of a run add up to its plan."""
    row = tx.execute(_CONSERVATION, {"run": run_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no run {run_id}", hint="see `adloom runs`")
    return Conservation(*(int(n) for n in row))


def _summaries(tx: Transaction, runs: Sequence[RunRecord]) -> tuple[RunSummary, ...]:
    counts: dict[int, dict[str, dict[str, int]]] = {run.id: {} for run in runs}
    for run_id, what, name, n in tx.execute(_COUNTS, {"runs": list(counts)}):
        counts[run_id].setdefault(what, {})[name] = n
    return tuple(_summary(run, counts[run.id]) for run in runs)


_Kind = TypeVar("_Kind", Outcome, Disposition, RenderState)


def _by(kind: type[_Kind], counts: Mapping[str, int]) -> dict[_Kind, int]:
    return {member: counts[member.value] for member in kind if member.value in counts}


def _summary(run: RunRecord, counts: Mapping[str, Mapping[str, int]]) -> RunSummary:
    outcomes = _by(Outcome, counts.get("outcome", {}))
    superseded = outcomes.pop(Outcome.SUPERSEDED, 0)
    return RunSummary(
        run=run,
        outcomes=outcomes,
        dispositions=_by(Disposition, counts.get("disposition", {})),
        renders=_by(RenderState, counts.get("render", {})),
        reasons=counts.get("reason", {}),
        errors=counts.get("error", {}),
        skipped=counts.get("skipped", {}),
        superseded=superseded,
    )


def _run(row: Any) -> RunRecord:
    return RunRecord(
        id=row.id,
        campaign=row.campaign,
        campaign_id=row.campaign_id,
        spec=CampaignSpec.from_json(row.spec),
        state=RunState(row.state),
        trigger=Trigger(row.trigger),
        weights_hash=row.weights_hash,
        flow_run_id=row.prefect_flow_run_id,
        planned_slots=row.planned_slots,
        created_at=row.created_at,
        ended_at=row.ended_at,
        error_class=row.error_class,
        error_message=row.error_message,
        paused_at=row.paused_at,
        stopped_for=row.stopped_for,
    )
