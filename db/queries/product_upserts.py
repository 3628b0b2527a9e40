"""A chunk of a catalogue's products in: staged by COPY, compared, and only what changed written."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from adloom.catalog import ProductRecord, RejectedRow
from adloom.feed_rows import RowReason
from adloom.records import UpsertCounts
from db.copying import stage
from db.engine import Transaction
from db.text import as_json, storable, storable_or_none

_INCOMING = """
place bigint, line bigint, external_id text, item_group_id text, title text, category text,
brand text, description text, link text, availability availability, price_amount numeric,
price_currency text, sale_price_amount numeric, sale_price_currency text, attributes jsonb,
content_hash text
"""
_INCOMING_PHOTOS = "product_id bigint, location text, role photo_role, position bigint"

# While the chunk before it is written, which may itself wait for a lock.
_WAITS = text("SET LOCAL idle_in_transaction_session_timeout = '1h'")

# Ids that an earlier chunk of this sync had in a good row: the first one counts.
_REPEATED = text("""
DELETE FROM pg_temp.incoming_product i USING sync_mention m
WHERE m.sync_id = :sync AND m.external_id = i.external_id AND m.accepted
RETURNING i.line, i.external_id, m.line AS first
""")

_MENTION = text("""
INSERT INTO sync_mention (sync_id, external_id, line, accepted)
SELECT :sync, external_id, line, true FROM pg_temp.incoming_product ORDER BY external_id
ON CONFLICT (sync_id, external_id) DO UPDATE SET line = excluded.line, accepted = true
""")

# A row that says the same as before is not written; `changed_at` moves with what it says.
_UPSERT = text("""
WITH compared AS MATERIALIZED (
    SELECT i.*, p.id AS product_id, p.active AND p.content_hash = i.content_hash AS same
    FROM pg_temp.incoming_product i LEFT JOIN product p ON p.workspace_id = :ws
        AND p.source_id = :source AND p.external_id = i.external_id
), upserted AS (
    INSERT INTO product (workspace_id, source_id, external_id, item_group_id, title, category,
        brand, description, link, availability, price_amount, price_currency,
        sale_price_amount, sale_price_currency, attributes, content_hash)
    SELECT :ws, :source, external_id, item_group_id, title, category, brand, description, link,
        availability, price_amount, price_currency, sale_price_amount, sale_price_currency,
        attributes, content_hash
    FROM compared WHERE same IS NOT TRUE ORDER BY external_id
    ON CONFLICT (workspace_id, source_id, external_id) DO UPDATE SET
        item_group_id = excluded.item_group_id, title = excluded.title,
        category = excluded.category, brand = excluded.brand, description = excluded.description,
        link = excluded.link, availability = excluded.availability,
        price_amount = excluded.price_amount, price_currency = excluded.price_currency,
        sale_price_amount = excluded.sale_price_amount,
        sale_price_currency = excluded.sale_price_currency, attributes = excluded.attributes,
        content_hash = excluded.content_hash, active = true, changed_at = now()
    RETURNING id, external_id
)
SELECT u.id, c.place, c.product_id IS NULL AS added
FROM upserted u JOIN compared c USING (external_id)
""")

_DROP_PHOTOS = text("""
DELETE FROM product_photo pp WHERE pp.product_id = ANY (CAST(:products AS bigint[]))
    AND NOT EXISTS (SELECT FROM pg_temp.incoming_photo i
        WHERE i.product_id = pp.product_id AND i.location = pp.location)
""")

_UPSERT_PHOTOS = text("""
INSERT INTO product_photo (product_id, location, workspace_id, role, position)
SELECT product_id, location, :ws, role, position FROM pg_temp.incoming_photo
ORDER BY product_id, location
ON CONFLICT (product_id, location) DO UPDATE SET role = excluded.role, position = excluded.position
""")


@dataclass(frozen=True, slots=True)
class StagedProducts:
    """A chunk that its transaction has copied to Postgres; `repeated` of its rows are not there."""

    records: Sequence[ProductRecord]
    repeated: tuple[RejectedRow, ...]


def stage_chunk(tx: Transaction, records: Sequence[ProductRecord]) -> StagedProducts:
    """Copies a chunk into the transaction's staging table. It takes no lock: while one transaction
    holds the source and writes its products, the next one can copy its own."""
    repeated: list[RejectedRow] = []
    tx.execute(_WAITS)
    stage(tx, "incoming_product", _INCOMING, _rows(records, repeated))
    return StagedProducts(records, tuple(repeated))


def upsert(
    tx: Transaction, ws: int, source_id: int, sync_id: int, chunk: StagedProducts
) -> UpsertCounts:
    """Adds and updates products and their photo references, within a sync that holds its fence.

    Of an external id that occurs twice in a sync the first record counts; the others come back as
    `repeated`. A photo reference keeps its fetched photo for as long as its location is the same.
    """
    records, repeated = chunk.records, list(chunk.repeated)
    staged = len(records) - len(repeated)
    for row in tx.execute(_REPEATED, {"sync": sync_id}):
        repeated.append(_repeated(row.line, row.external_id, row.first))
        staged -= 1
    tx.execute(_MENTION, {"sync": sync_id})
    done = tx.execute(_UPSERT, {"ws": ws, "source": source_id}).all()
    what = Counter(row.added for row in done)
    if done:
        stage(
            tx,
            "incoming_photo",
            _INCOMING_PHOTOS,
            (photo for row in done for photo in _photo_rows(row.id, records[row.place])),
        )
        if what[False]:
            changed = [row.id for row in done if not row.added]
            tx.execute(_DROP_PHOTOS, {"products": changed})
        tx.execute(_UPSERT_PHOTOS, {"ws": ws})
    return UpsertCounts(what[True], what[False], staged - len(done), tuple(repeated))


def _rows(
    records: Sequence[ProductRecord], repeated: list[RejectedRow]
) -> Iterator[tuple[Any, ...]]:
    """Rows to stage, one per id; the others are appended to `repeated`."""
    lines: dict[str, int | None] = {}
    for place, r in enumerate(records):
        external_id = storable(r.external_id)
        if external_id in lines:
            repeated.append(_repeated(r.line, external_id, lines[external_id]))
            continue
        lines[external_id] = r.line
        yield (
            place,
            r.line,
            external_id,
            storable_or_none(r.item_group_id),
            storable(r.title),
            storable(r.category),
            storable(r.brand),
            storable(r.description),
            storable(r.link),
            r.availability.value,
            r.price.amount if r.price else None,
            r.price.currency if r.price else None,
            r.sale_price.amount if r.sale_price else None,
            r.sale_price.currency if r.sale_price else None,
            as_json(dict(r.attributes)) if r.attributes else "{}",
            r.content_hash,
        )


def _photo_rows(product_id: int, record: ProductRecord) -> Iterator[tuple[Any, ...]]:
    first = {storable(p.location): p for p in reversed(record.photos)}
    for location, p in first.items():
        yield product_id, location, p.role.value, p.position


def _repeated(line: int | None, external_id: str, first: int | None) -> RejectedRow:
    where = "before" if first is None else f"in line {first}"
    return RejectedRow(line or 0, external_id, RowReason.DUPLICATE_ID, f"the id was there {where}")
