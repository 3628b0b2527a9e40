"""One sync of a catalogue source: products in, by chunks; what vanished, out.

A sync that another has followed is fenced: its writes raise ConflictError and change nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import select, text

from adloom.catalog import ProductRecord, RejectedRow, SyncCounts
from adloom.errors import AdloomError, ConflictError, NotFoundError, ShrinkRefusedError
from adloom.records import SyncRecord, SyncState, UpsertCounts
from db.engine import Transaction, joined_whole
from db.queries import cancelling, product_upserts
from db.queries.product_upserts import StagedProducts, stage_chunk
from db.schema.catalog import Rejection
from db.text import as_json, bounded, storable, storable_or_none

KEPT_REJECTIONS = 1000
"""So many rejected rows per sync are kept in detail; all of them are counted."""

_INTERRUPT = text("""
UPDATE catalog_sync SET state = 'failed', ended_at = now(), error_class = 'SyncInterrupted',
    error_message = :why
WHERE source_id = :source AND state = 'running'
RETURNING id
""")

_BEGIN = text("""
INSERT INTO catalog_sync (workspace_id, source_id, state) VALUES (:ws, :source, 'running')
RETURNING id
""")

# Whoever begins a sync, writes for one, or adds the source anew holds its source first: what one of
# them read of the source is still so when it writes, and none waits for another in a circle.
_HOLD = text("SELECT id FROM catalog_source WHERE id = :source FOR NO KEY UPDATE")
_HOLD_OF = text("""
SELECT id FROM catalog_source
WHERE id = (SELECT source_id FROM catalog_sync WHERE id = :sync) FOR NO KEY UPDATE
""")

# The row lock keeps a newer sync from starting before this chunk is committed.
_RUNNING = text("""
SELECT workspace_id, source_id FROM catalog_sync WHERE id = :sync AND state = 'running' FOR SHARE
""")

_KEEP_CURSOR = text("""
UPDATE catalog_source SET cursor = CAST(:cursor AS jsonb) WHERE id = :source
""")

_COUNT_REJECTIONS = text("""
UPDATE catalog_sync SET rejected_reasons = CAST(:reasons AS jsonb) WHERE id = :sync
""")

_REASONS = text("SELECT rejected_reasons FROM catalog_sync WHERE id = :sync FOR NO KEY UPDATE")

_REJECT = text("""
INSERT INTO rejection (workspace_id, sync_id, line, external_id, reason, detail)
SELECT :ws, :sync, t.line, t.external_id, t.reason, t.detail
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS t(line bigint, external_id text, reason text, detail text)
""")

# A product whose row is bad this time has not vanished: it stays as it was.
_MENTION = text("""
INSERT INTO sync_mention (sync_id, external_id, accepted)
SELECT DISTINCT CAST(:sync AS bigint), id, false FROM unnest(CAST(:ids AS text[])) AS id
ON CONFLICT DO NOTHING
""")

# Products that this very sync added do not count: the guard asks what was there before.
SHRINK = text("""
SELECT count(*) FILTER (WHERE p.created_at < s.started_at) AS before,
    count(*) FILTER (WHERE m.external_id IS NULL) AS missing
FROM catalog_sync s JOIN product p ON p.source_id = s.source_id AND p.active
LEFT JOIN sync_mention m ON m.sync_id = s.id AND m.external_id = p.external_id
WHERE s.id = :sync
""")

DEACTIVATE = text("""
UPDATE product p SET active = false, changed_at = now()
WHERE p.source_id = :source AND p.workspace_id = :ws AND p.active AND NOT EXISTS (
    SELECT FROM sync_mention m WHERE m.sync_id = :sync AND m.external_id = p.external_id)
RETURNING p.id
""")

_FORGET = text("DELETE FROM sync_mention WHERE sync_id = :sync")

_FINISH = text("""
UPDATE catalog_sync SET state = CAST(:state AS sync_state), counts = CAST(:counts AS jsonb),
    ended_at = now(), error_class = :error_class, error_message = :error_message
WHERE id = :sync AND state = 'running'
""")

_SELECT = """
SELECT y.id, s.slug AS source, y.state, y.counts, y.started_at, y.ended_at, y.error_class,
    y.error_message, y.rejected_reasons
FROM catalog_sync y JOIN catalog_source s ON s.id = y.source_id
"""
_GET = text(_SELECT + "WHERE y.id = :sync")
_LATEST = text(
    _SELECT + "WHERE y.workspace_id = :ws AND y.source_id = :source ORDER BY y.id DESC LIMIT 1"
)


def begin(tx: Transaction, ws: int, source_id: int) -> int:
    """Begins a sync and ends a former one that was never finished. What the caller knows of the
    source it reads after `hold`."""
    hold(tx, source_id)
    interrupt(tx, source_id, "another sync of this source began before this one ended")
    return int(tx.execute(_BEGIN, {"ws": ws, "source": source_id}).scalar_one())


def hold(tx: Transaction, source_id: int) -> None:
    """Until this transaction ends no other sync of the source begins, none writes, and the source
    is not added anew."""
    tx.execute(_HOLD, {"source": source_id})


def interrupt(tx: Transaction, source_id: int, why: str) -> None:
    """Ends the source's sync that is running, if any: what it still writes is refused."""
    hold(tx, source_id)
    found = tx.execute(_INTERRUPT, {"source": source_id, "why": why})
    for interrupted in found.scalars().all():
        tx.execute(_FORGET, {"sync": interrupted})


def keep_cursor(tx: Transaction, sync_id: int, cursor: Mapping[str, Any]) -> None:
    """What the next reading of the sync's source is to be given; one that is added again has
    none."""
    fence = _fence(tx, sync_id)
    tx.execute(_KEEP_CURSOR, {"source": fence["source"], "cursor": as_json(cursor)})


def upsert_products(
    tx: Transaction, sync_id: int, chunk: Sequence[ProductRecord] | StagedProducts
) -> UpsertCounts:
    """Adds and updates a chunk (some thousands) of products: see `product_upserts.upsert`. The
    transaction may have staged it before (`product_upserts.stage_chunk`)."""
    staged = chunk if isinstance(chunk, StagedProducts) else stage_chunk(tx, chunk)
    fence = _fence(tx, sync_id)
    return product_upserts.upsert(tx, fence["ws"], fence["source"], sync_id, staged)


def record_rejections(tx: Transaction, sync_id: int, rows: Sequence[RejectedRow]) -> None:
    """Counts rejected rows by reason, and keeps the first `KEPT_REJECTIONS` in detail."""
    if not rows:
        return
    fence = _fence(tx, sync_id)
    before = Counter(tx.execute(_REASONS, {"sync": sync_id}).scalar_one())
    room = max(0, KEPT_REJECTIONS - before.total())
    kept = as_json(
        {
            "line": r.line,
            "external_id": storable_or_none(r.external_id),
            "reason": r.reason,
            "detail": bounded(r.detail),
        }
        for r in rows[:room]
    )
    tx.execute(_REJECT, {"ws": fence["ws"], "sync": sync_id, "rows": kept})
    reasons = before + Counter(r.reason for r in rows)
    tx.execute(_COUNT_REJECTIONS, {"sync": sync_id, "reasons": as_json(reasons)})
    named = [storable(r.external_id) for r in rows if r.external_id]
    tx.execute(_MENTION, {"sync": sync_id, "ids": named})


def deactivate_missing(
    tx: Transaction,
    sync_id: int,
    *,
    allow_shrink: bool,
    complete: bool = True,
    unnamed: int = 0,
    max_shrink: float = 0.20,
) -> int:
    """Makes products inactive that a snapshot did not name; returns how many.

    What was still to be made of them is cancelled, but for renders that others need. Where
    `unnamed` rows were refused whose product is not known, none is made inactive: it may be theirs
    (`allow_shrink` does it all the same).

    Raises ShrinkRefusedError when more than `max_shrink` of those active before would go, and when
    any would though nothing proves the snapshot `complete`.
    """
    fence = _fence(tx, sync_id)
    with joined_whole(tx):
        before, missing = tx.execute(SHRINK, {"sync": sync_id}).one()
    if not allow_shrink and missing and not complete:
        raise ShrinkRefusedError(
            f"the snapshot lacks {missing} of {before} active products, and nothing proves "
            "that it is whole",
            hint="it may be cut off: fetch it again; let the server send its length, end a file "
            "with a line break, or pass --allow-shrink",
        )
    if not allow_shrink and missing > max_shrink * before:
        raise ShrinkRefusedError(
            f"the snapshot lacks {missing} of {before} active products "
            f"(more than {max_shrink:.0%} at once)",
            hint="check the feed, or pass --allow-shrink if they are really gone",
        )
    if unnamed and not allow_shrink:
        return 0
    with joined_whole(tx):
        gone = list(tx.execute(DEACTIVATE, fence).scalars())
    cancelling.end_products(tx, gone)
    return len(gone)


def count_missing(tx: Transaction, sync_id: int) -> int:
    """How many active products a snapshot, read whole, did not name."""
    with joined_whole(tx):
        return int(tx.execute(SHRINK, {"sync": sync_id}).one().missing)


def finish(
    tx: Transaction, sync_id: int, counts: SyncCounts, *, error: AdloomError | None = None
) -> None:
    """Ends the sync with its counts, as failed if there is an `error`."""
    done = tx.execute(
        _FINISH,
        {
            "sync": sync_id,
            "state": (SyncState.FAILED if error else SyncState.COMPLETE).value,
            "counts": as_json(asdict(counts)),
            "error_class": error.error_class if error else None,
            "error_message": bounded(str(error)) if error else None,
        },
    )
    if not done.rowcount:  # pyright: ignore[reportAttributeAccessIssue]
        raise _interrupted(sync_id)
    tx.execute(_FORGET, {"sync": sync_id})


def get(tx: Transaction, sync_id: int) -> SyncRecord:
    """Raises NotFoundError."""
    row = tx.execute(_GET, {"sync": sync_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no sync {sync_id}")
    return _record(row)


def latest(tx: Transaction, ws: int, source_id: int) -> SyncRecord | None:
    row = tx.execute(_LATEST, {"ws": ws, "source": source_id}).one_or_none()
    return None if row is None else _record(row)


def rejections(tx: Transaction, sync_id: int, limit: int = 100) -> tuple[RejectedRow, ...]:
    """The first rejected rows, by line."""
    query = select(Rejection).where(Rejection.sync_id == sync_id)
    return tuple(
        RejectedRow(r.line, r.external_id, r.reason, r.detail)
        for r in tx.scalars(query.order_by(Rejection.line, Rejection.id).limit(limit))
    )


def _fence(tx: Transaction, sync_id: int) -> dict[str, int]:
    tx.execute(_HOLD_OF, {"sync": sync_id})
    row = tx.execute(_RUNNING, {"sync": sync_id}).one_or_none()
    if row is None:
        raise _interrupted(sync_id)
    return {"ws": row.workspace_id, "source": row.source_id, "sync": sync_id}


def _interrupted(sync_id: int) -> ConflictError:
    return ConflictError(
        f"sync {sync_id} is no longer running",
        hint="another sync of this source has begun, or it was added anew: sync it again",
    )


def _record(row: Any) -> SyncRecord:
    return SyncRecord(
        row.id,
        row.source,
        SyncState(row.state),
        SyncCounts(**row.counts),
        row.started_at,
        row.ended_at,
        row.error_class,
        row.error_message,
        row.rejected_reasons,
    )
