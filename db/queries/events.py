"""What runs tell to webhooks: an outbox, written in the transaction that makes it true.

Whoever delivers claims a row for a while first: one that dies in between leaves it to be delivered
again, so that an event is told at least once.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.records import RunEvent, WatchedRun
from db.engine import Transaction
from db.text import as_json, bounded

CLAIM_S = 60.0
GIVEN_BACK = 3
"""A batch handed over so much more often than it was begun is one that workers give back."""

_ADD = text("""
INSERT INTO run_event (workspace_id, run_id, event, occasion, webhook, payload)
SELECT r.workspace_id, r.id, :event, coalesce(CAST(:occasion AS text), 'opened ' || coalesce(
    r.spent_since, r.created_at)), r.spec->>'webhook', jsonb_build_object(
    'run', r.id, 'campaign', c.slug, 'state', r.state, 'planned', r.planned_slots)
    || CAST(:payload AS jsonb)
FROM run r JOIN campaign c ON c.id = r.campaign_id
WHERE r.id = :run AND r.spec->>'webhook' IS NOT NULL
ON CONFLICT DO NOTHING
""")

_COLUMNS = """
id, event_id, run_id, event, webhook, payload, created_at, attempts, next_attempt_at, delivered_at,
    last_error, extract(epoch FROM clock_timestamp() - created_at) AS age_s
"""

_CLAIM = text(f"""
UPDATE run_event SET attempts = attempts + 1,
    next_attempt_at = clock_timestamp() + make_interval(secs => :claim)
WHERE id = (SELECT id FROM run_event
    WHERE workspace_id = :ws AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {_COLUMNS}
""")

_DELIVERED = text("""
UPDATE run_event SET delivered_at = clock_timestamp(), next_attempt_at = NULL, last_error = NULL
WHERE id = :event
""")

_FAILED = text("""
UPDATE run_event SET last_error = :error, next_attempt_at = CASE
    WHEN CAST(:wait AS float8) IS NOT NULL
        THEN clock_timestamp() + make_interval(secs => CAST(:wait AS float8)) END
WHERE id = :event AND delivered_at IS NULL
""")

_OF_RUN = text(f"SELECT {_COLUMNS} FROM run_event WHERE run_id = :run ORDER BY id")

# A run that waits for renders is idle since a batch of it was last made, cut, or handed over, if it
# is not one that workers take and give back again and again; never while any of the workspace is
# being made. That workers are there says little: their keys to the store may have expired. Before
# anything is handed to them, as in the moment after a pause, nobody is late.
_WATCHED = text("""
SELECT r.id, r.spec, r.created_at, r.paused_at, n.items, n.done, n.failed,
    CASE WHEN n.waiting = 0 OR r.state = 'planning' OR (
            EXISTS (SELECT FROM worker w WHERE w.workspace_id = r.workspace_id AND w.pool = :pool
                AND w.state = 'working' AND w.expires_at > clock_timestamp())
            AND NOT EXISTS (SELECT FROM batch b WHERE b.run_id = r.id AND b.state = 'pending'
                AND b.submitted_at IS NOT NULL)) OR EXISTS (SELECT FROM batch b
            WHERE b.workspace_id = r.workspace_id AND b.state = 'leased'
                AND b.lease_expires_at > clock_timestamp())
        THEN 0.0 ELSE extract(epoch FROM clock_timestamp() - greatest(coalesce(r.spent_since,
            r.created_at), (SELECT greatest(max(b.created_at),
                    max(b.submitted_at) FILTER (WHERE b.submissions - b.attempts <= :given_back))
                FROM batch b WHERE b.run_id = r.id AND b.state = 'pending'),
            (SELECT max(a.ended_at) FROM batch_attempt a JOIN batch b ON b.id = a.batch_id
                WHERE b.run_id = r.id AND a.ending IN ('finished', 'failed')))) END AS idle_s
FROM run r CROSS JOIN LATERAL (
    SELECT count(*) AS items,
        count(*) FILTER (WHERE i.outcome NOT IN ('open', 'failed') OR x.state = 'rendered') AS done,
        count(*) FILTER (WHERE i.outcome = 'failed' OR x.state = 'failed') AS failed,
        count(*) FILTER (WHERE i.outcome = 'open' AND x.state IN ('pending', 'leased')) AS waiting
    FROM run_item i JOIN render x ON x.id = i.render_id
    WHERE i.run_id = r.id AND i.outcome <> 'superseded') AS n
WHERE r.workspace_id = :ws AND r.state IN ('planning', 'rendering', 'judging')
    AND r.spec->>'webhook' IS NOT NULL AND (CAST(:run AS bigint) IS NULL OR r.id = :run)
ORDER BY r.id
""")


def add(tx: Transaction, run_id: int, event: str, occasion: str | None, **payload: Any) -> None:
    """Has a run's webhook told of an event, once for the occasion; nothing if the run has none.

    `occasion` None: once each time that the run is begun, or opened again by a retry.
    """
    values = {"run": run_id, "event": event, "occasion": occasion}
    tx.execute(_ADD, {**values, "payload": as_json(payload)})


def claim(tx: Transaction, ws: int) -> RunEvent | None:
    """An event that is due to be told, for CLAIM_S this caller's to deliver; None if none is."""
    row = tx.execute(_CLAIM, {"ws": ws, "claim": CLAIM_S}).one_or_none()
    return None if row is None else _event(row)


def note_delivered(tx: Transaction, number: int) -> None:
    tx.execute(_DELIVERED, {"event": number})


def note_failed(tx: Transaction, number: int, error: str, *, wait_s: float | None) -> None:
    """Notes that an event could not be told; tried again after `wait_s`, never if it is None."""
    tx.execute(_FAILED, {"event": number, "error": bounded(error), "wait": wait_s})


def of_run(tx: Transaction, run_id: int) -> tuple[RunEvent, ...]:
    return _events(tx.execute(_OF_RUN, {"run": run_id}))


def watched(
    tx: Transaction, ws: int, *, pool: str, run_id: int | None = None
) -> tuple[WatchedRun, ...]:
    """How the live runs stand that tell a webhook, or one of them; `pool` is the renderers'."""
    values = {"ws": ws, "pool": pool, "run": run_id, "given_back": GIVEN_BACK}
    return tuple(
        WatchedRun(
            run_id=r.id,
            spec=CampaignSpec.from_json(r.spec),
            created_at=r.created_at,
            is_paused=r.paused_at is not None,
            items=r.items,
            done=r.done,
            failed=r.failed,
            idle_s=max(0.0, float(r.idle_s)),
        )
        for r in tx.execute(_WATCHED, values)
    )


def _events(rows: Any) -> tuple[RunEvent, ...]:
    found = (_event(r) for r in rows)
    return tuple(sorted(found, key=lambda e: e.number))


def _event(row: Any) -> RunEvent:
    payload: Mapping[str, Any] = row.payload
    return RunEvent(
        number=row.id,
        id=str(row.event_id),
        run_id=row.run_id,
        event=row.event,
        webhook=row.webhook,
        payload=payload,
        created_at=row.created_at,
        attempts=row.attempts,
        age_s=float(row.age_s),
        next_attempt_at=row.next_attempt_at,
        delivered_at=row.delivered_at,
        last_error=row.last_error,
    )
