"""One sync of a catalogue source: products in, by chunks; what vanished, out.

A sync that another has followed is fenced: its writes raise ConflictError and change nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import select, text

from adloom.catalog import ProductRecord, RejectedRow, SyncCounts
from adloom.errors import AdloomError, ConflictError, NotFoundError, ShrinkRefusedError
from adloom.records import SyncRecord, SyncState, UpsertCounts
from db.engine import Transaction
from db.schema.catalog import Rejection
from db.text import as_json, bounded, storable, storable_or_none

KEPT_REJECTIONS = 1000
"""So many rejected rows per sync are kept in detail; all of them are counted."""

_INTERRUPT = text("""
UPDATE catalog_sync SET state = 'failed', ended_at = now(), error_class = 'SyncInterrupted',
    error_message = 'another sync of this source began before this one ended'
WHERE source_id = :source AND state = 'running'
""")

_BEGIN = text("""
INSERT INTO catalog_sync (workspace_id, source_id, state) VALUES (:ws, :source, 'running')
RETURNING id
""")

# The row lock keeps a newer sync from starting before this chunk is committed.
_RUNNING = text("""
SELECT workspace_id, source_id FROM catalog_sync WHERE id = :sync AND state = 'running' FOR SHARE
""")

# A row that says the same is only marked as seen; `changed_at` moves when content or activity do.
_UPSERT = text("""
WITH incoming AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(
        external_id text, item_group_id text, title text, category text, brand text,
        description text, link text, availability availability, price_amount numeric,
        price_currency text, content_hash text)
), before AS (
    SELECT p.external_id, p.content_hash, p.active FROM product p
    JOIN incoming USING (external_id)
    WHERE p.workspace_id = :ws AND p.source_id = :source
), upserted AS (
    INSERT INTO product AS p (workspace_id, source_id, external_id, item_group_id, title, category,
        brand, description, link, availability, price_amount, price_currency, content_hash,
        seen_sync_id)
    SELECT :ws, :source, external_id, item_group_id, title, category, brand, description, link,
        availability, price_amount, price_currency, content_hash, :sync
    FROM incoming ORDER BY external_id
    ON CONFLICT (workspace_id, source_id, external_id) DO UPDATE SET
        item_group_id = excluded.item_group_id, title = excluded.title,
        category = excluded.category, brand = excluded.brand, description = excluded.description,
        link = excluded.link, availability = excluded.availability,
        price_amount = excluded.price_amount, price_currency = excluded.price_currency,
        content_hash = excluded.content_hash, seen_sync_id = excluded.seen_sync_id, active = true,
        changed_at = CASE WHEN p.content_hash = excluded.content_hash AND p.active
            THEN p.changed_at ELSE now() END
    RETURNING p.id, p.external_id, p.content_hash
)
SELECT u.id, u.external_id,
    CASE WHEN b.external_id IS NULL THEN 'added'
         WHEN b.content_hash <> u.content_hash OR NOT b.active THEN 'changed'
         ELSE 'unchanged' END AS what
FROM upserted u LEFT JOIN before b USING (external_id)
""")

_DROP_PHOTOS = text("""
DELETE FROM product_photo pp
USING jsonb_to_recordset(CAST(:products AS jsonb)) AS t(product_id bigint, locations text[])
WHERE pp.product_id = t.product_id AND NOT pp.location = ANY (t.locations)
""")

_UPSERT_PHOTOS = text("""
INSERT INTO product_photo (product_id, location, workspace_id, role, position)
SELECT t.product_id, t.location, :ws, t.role, t.position
FROM jsonb_to_recordset(CAST(:photos AS jsonb))
    AS t(product_id bigint, location text, role photo_role, position bigint)
ON CONFLICT (product_id, location) DO UPDATE SET role = excluded.role, position = excluded.position
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
_SEEN = text("""
UPDATE product SET seen_sync_id = :sync
WHERE source_id = :source AND workspace_id = :ws AND external_id = ANY (CAST(:ids AS text[]))
""")

# Products that this very sync added do not count: the guard asks what was there before.
_SHRINK = text("""
SELECT count(*) FILTER (WHERE p.created_at < s.started_at) AS before,
    count(*) FILTER (WHERE p.seen_sync_id <> s.id) AS missing
FROM catalog_sync s JOIN product p ON p.source_id = s.source_id AND p.active
WHERE s.id = :sync
""")

_DEACTIVATE = text("""
UPDATE product SET active = false, changed_at = now()
WHERE source_id = :source AND workspace_id = :ws AND active AND seen_sync_id <> :sync
""")

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
    """Begins a sync and ends a former one that was never finished."""
    tx.execute(_INTERRUPT, {"source": source_id})
    return int(tx.execute(_BEGIN, {"ws": ws, "source": source_id}).scalar_one())


def upsert_products(
    tx: Transaction, sync_id: int, records: Sequence[ProductRecord]
) -> UpsertCounts:
    """Adds and updates a chunk (about 1000) of products and their photo references.

    Of an external id that occurs twice in the chunk the last record stays. A photo reference keeps
    its fetched photo for as long as its location stays the same.
    """
    fence = _fence(tx, sync_id)
    latest = {r.external_id: r for r in map(_storable, records)}
    rows = as_json(_product_row(record) for record in latest.values())
    done = tx.execute(_UPSERT, {**fence, "rows": rows}).all()
    touched = {r.id: latest[r.external_id] for r in done if r.what != "unchanged"}
    _replace_photos(tx, fence["ws"], touched)
    what = Counter(r.what for r in done)
    repeated = len(records) - len(latest)
    return UpsertCounts(what["added"], what["changed"] + repeated, what["unchanged"])


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
    tx.execute(_SEEN, {**fence, "ids": [r.external_id for r in rows if r.external_id]})


def deactivate_missing(
    tx: Transaction, sync_id: int, *, allow_shrink: bool, max_shrink: float = 0.20
) -> int:
    """Makes products inactive that a complete snapshot did not name; returns how many.

    Raises ShrinkRefusedError when more than `max_shrink` of those active before would go.
    """
    fence = _fence(tx, sync_id)
    before, missing = tx.execute(_SHRINK, {"sync": sync_id}).one()
    if not allow_shrink and missing > max_shrink * before:
        raise ShrinkRefusedError(
            f"the snapshot lacks {missing} of {before} active products "
            f"(more than {max_shrink:.0%} at once)",
            hint="check the feed, or pass --allow-shrink if they are really gone",
        )
    tx.execute(_DEACTIVATE, fence)
    return int(missing)


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
    row = tx.execute(_RUNNING, {"sync": sync_id}).one_or_none()
    if row is None:
        raise _interrupted(sync_id)
    return {"ws": row.workspace_id, "source": row.source_id, "sync": sync_id}


def _interrupted(sync_id: int) -> ConflictError:
    return ConflictError(
        f"sync {sync_id} is no longer running",
        hint="another sync of this source has begun; let it finish",
    )


def _storable(record: ProductRecord) -> ProductRecord:
    return replace(
        record,
        external_id=storable(record.external_id),
        title=storable(record.title),
        category=storable(record.category),
        description=storable(record.description),
        link=storable(record.link),
        brand=storable(record.brand),
        item_group_id=storable_or_none(record.item_group_id),
        photos=tuple(replace(p, location=storable(p.location)) for p in record.photos),
    )


def _product_row(record: ProductRecord) -> dict[str, Any]:
    return {
        "external_id": record.external_id,
        "item_group_id": record.item_group_id,
        "title": record.title,
        "category": record.category,
        "brand": record.brand,
        "description": record.description,
        "link": record.link,
        "availability": record.availability.value,
        "price_amount": str(record.price.amount) if record.price else None,
        "price_currency": record.price.currency if record.price else None,
        "content_hash": record.content_hash,
    }


def _replace_photos(tx: Transaction, ws: int, touched: dict[int, ProductRecord]) -> None:
    products: list[dict[str, Any]] = []
    photos: list[dict[str, Any]] = []
    for product_id, record in touched.items():
        first = {p.location: p for p in reversed(record.photos)}
        products.append({"product_id": product_id, "locations": list(first)})
        photos.extend(
            {
                "product_id": product_id,
                "location": location,
                "role": p.role.value,
                "position": p.position,
            }
            for location, p in first.items()
        )
    if products:
        tx.execute(_DROP_PHOTOS, {"products": as_json(products)})
        tx.execute(_UPSERT_PHOTOS, {"ws": ws, "photos": as_json(photos)})


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
