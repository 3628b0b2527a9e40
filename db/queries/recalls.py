"""Recalls: creatives marked as not to be used, at once, and the record of who said so and why."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from adloom.records import RecallCounts, RecallFilter, RecallRecord
from db.copying import stage
from db.engine import Transaction
from db.queries import cancelling
from db.text import bounded

_CHOSEN = """
FROM creative c JOIN product p ON p.id = c.product_id JOIN campaign k ON k.id = c.campaign_id
WHERE c.workspace_id = :ws
    AND (CAST(:sku AS text) IS NULL OR p.external_id = :sku)
    AND (CAST(:product AS text) IS NULL OR :product IN (p.external_id, p.item_group_id))
    AND (CAST(:scene AS text) IS NULL OR c.scene_slug = :scene)
    AND (CAST(:campaign AS text) IS NULL OR k.slug = :campaign)
"""

_COUNT = text(f"""
SELECT count(*) AS matched, count(*) FILTER (WHERE (c.recall_id IS NULL) <> :undo) AS marked
{_CHOSEN}
""")

_ISSUE = text("""
INSERT INTO recall (workspace_id, undo, issuer, reason, product, sku, scene, campaign)
VALUES (:ws, :undo, :issuer, :reason, :product, :sku, :scene, :campaign) RETURNING id
""")

# In the order of ids, as others lock creatives.
_CHOOSE = text(f"""
INSERT INTO pg_temp.ending_creative (id)
SELECT c.id {_CHOSEN} AND (c.recall_id IS NULL) <> :undo ORDER BY c.id FOR NO KEY UPDATE OF c
""")

_MARK = text("""
UPDATE creative c SET recall_id = CASE WHEN :undo THEN NULL ELSE CAST(:recall AS bigint) END
FROM pg_temp.ending_creative e WHERE e.id = c.id
""")

_RECORD = text("""
INSERT INTO recall_creative (recall_id, creative_id)
SELECT :recall, id FROM pg_temp.ending_creative
""")

_LIST = text("""
SELECT r.*, (SELECT count(*) FROM recall_creative c WHERE c.recall_id = r.id) AS creatives
FROM recall r WHERE r.workspace_id = :ws ORDER BY r.id DESC LIMIT :limit
""")


def count(tx: Transaction, ws: int, chosen: RecallFilter, *, undo: bool = False) -> RecallCounts:
    """What recalling these creatives, or undoing it, would mark; nothing is written."""
    matched, marked = tx.execute(_COUNT, {**_values(ws, chosen), "undo": undo}).one()
    return RecallCounts(matched, marked, matched - marked)


def issue(
    tx: Transaction,
    ws: int,
    chosen: RecallFilter,
    *,
    issuer: str,
    reason: str,
    undo: bool = False,
) -> RecallCounts:
    """Recalls creatives, or takes that back, and records it.

    What is still to be made of them is cancelled, but for renders that others need. Undoing brings
    back no item of a run: the next run plans them. Of creatives that are as asked for nothing is
    recorded.
    """
    values = {
        **_values(ws, chosen), "undo": undo, "issuer": bounded(issuer), "reason": bounded(reason),
    }  # fmt: skip
    matched = tx.execute(_COUNT, values).one().matched
    stage(tx, "ending_creative", cancelling.ENDING, ())
    marked: int = tx.execute(_CHOOSE, values).rowcount  # pyright: ignore[reportAttributeAccessIssue]
    if not marked:
        return RecallCounts(matched, 0, matched)
    values["recall"] = tx.execute(_ISSUE, values).scalar_one()
    tx.execute(_MARK, values)
    tx.execute(_RECORD, values)
    ended = None if undo else cancelling.end_staged(tx)
    return RecallCounts(
        max(matched, marked),
        marked,
        max(matched, marked) - marked,
        ended.items if ended else 0,
        ended.renders if ended else 0,
    )


def list_all(tx: Transaction, ws: int, *, limit: int = 50) -> tuple[RecallRecord, ...]:
    """The record, latest first."""
    return tuple(
        RecallRecord(
            r.id, r.undo, r.issuer, r.reason,
            RecallFilter(r.product, r.sku, r.scene, r.campaign), r.creatives, r.created_at,
        )
        for r in tx.execute(_LIST, {"ws": ws, "limit": limit})
    )  # fmt: skip


def _values(ws: int, chosen: RecallFilter) -> Mapping[str, Any]:
    return {
        "ws": ws,
        "product": chosen.product,
        "sku": chosen.sku,
        "scene": chosen.scene,
        "campaign": chosen.campaign,
    }
