"""The review queue: creatives whose newest image waits for a person's word, nearest to the gates
first. An item is claimed before it is shown, so that no two people see it at once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from adloom.records import Claimed, ReviewFilter
from db.engine import Transaction
from db.text import storable, storable_or_none

_NEWEST = """
NOT EXISTS (SELECT FROM run_item n
    WHERE n.creative_id = i.creative_id AND n.id > i.id AND n.outcome <> 'superseded')
"""

# A claim outlives that the same image is judged again.
_PUT = text(f"""
INSERT INTO review_queue AS q (creative_id, workspace_id, run_item_id, image_sha256, distance,
    campaign_id, scene_slug, category, reasons, scores)
SELECT c.id, i.workspace_id, i.id, d.sha256,
    (SELECT coalesce(min(least(abs(x.value - x.min), abs(x.value - x.max))), 'Infinity')
        FROM jsonb_to_recordset(v.reasons) AS x(value float8, min float8, max float8)),
    c.campaign_id, c.scene_slug, p.category,
    ARRAY(SELECT x->>'code' FROM jsonb_array_elements(v.reasons) AS x),
    coalesce((SELECT jsonb_object_agg(s.stage || '.' || kv.key, kv.value ORDER BY s.created_at)
        FROM score s CROSS JOIN jsonb_each(s.values) AS kv
        WHERE s.render_id = i.render_id AND s.finish_hash IN ('raw', i.finish_hash)), '{{}}')
FROM run_item i
JOIN creative c ON c.id = i.creative_id
JOIN product p ON p.id = c.product_id
JOIN rendition d ON d.workspace_id = i.workspace_id AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
LEFT JOIN LATERAL (
    SELECT coalesce((SELECT w.reasons FROM verdict w WHERE w.run_item_id = i.id
        ORDER BY w.created_at DESC, w.id DESC LIMIT 1), '[]') AS reasons
) v ON true
WHERE i.id = ANY (CAST(:items AS bigint[])) AND i.outcome = 'needs_review' AND {_NEWEST}
ORDER BY c.id
ON CONFLICT (creative_id) DO UPDATE SET run_item_id = excluded.run_item_id,
    image_sha256 = excluded.image_sha256, distance = excluded.distance,
    category = excluded.category, reasons = excluded.reasons, scores = excluded.scores,
    claimed_by = CASE WHEN q.image_sha256 = excluded.image_sha256 THEN q.claimed_by END,
    claimed_until = CASE WHEN q.image_sha256 = excluded.image_sha256 THEN q.claimed_until END
""")

_TAKE_OUT = text("""
DELETE FROM review_queue q USING run_item i
WHERE i.id = ANY (CAST(:items AS bigint[])) AND i.outcome <> 'needs_review'
    AND q.creative_id = i.creative_id AND q.run_item_id <= i.id
""")

# Only the conditions that are given are asked, so that the index that suits them is taken.
_CONDITIONS = {
    "campaign": "q.campaign_id = :campaign",
    "scene": "q.scene_slug = :scene",
    "category": "(q.category = :category OR starts_with(q.category, :category || ' > '))",
    "reason": "q.reasons @> ARRAY[CAST(:reason AS text)]",
    "score_min": "CAST(q.scores->>:score AS float8) >= :score_min",
    "score_max": "CAST(q.scores->>:score AS float8) <= :score_max",
}

_FREE = "(q.claimed_until IS NULL OR q.claimed_until <= clock_timestamp())"

# What was recalled, is no longer sold, or is being made anew does not need eyes now.
_CLAIM = f"""
WITH chosen AS (
    SELECT q.creative_id FROM review_queue q
    JOIN run_item i ON i.id = q.run_item_id AND i.outcome = 'needs_review'
    JOIN creative c ON c.id = q.creative_id AND c.recall_id IS NULL
    JOIN product p ON p.id = c.product_id AND p.active
    WHERE {{conditions}} AND ({_FREE} OR q.claimed_by = :reviewer)
        AND q.creative_id <> ALL (CAST(:without AS bigint[])) AND {_NEWEST}
    ORDER BY q.distance, q.creative_id LIMIT :limit
    FOR UPDATE OF q SKIP LOCKED
)
UPDATE review_queue q SET claimed_by = :reviewer,
    claimed_until = clock_timestamp() + make_interval(secs => :ttl)
FROM chosen WHERE q.creative_id = chosen.creative_id
RETURNING q.creative_id, q.run_item_id, q.image_sha256, q.distance, q.claimed_until
"""

_RENEW = text("""
UPDATE review_queue q SET claimed_until = clock_timestamp() + make_interval(secs => :ttl)
WHERE q.workspace_id = :ws AND q.creative_id = ANY (CAST(:creatives AS bigint[]))
    AND q.claimed_by = :reviewer
RETURNING q.creative_id
""")

_RELEASE = text("""
UPDATE review_queue q SET claimed_by = NULL, claimed_until = NULL
WHERE q.workspace_id = :ws AND q.creative_id = ANY (CAST(:creatives AS bigint[]))
    AND q.claimed_by = :reviewer
RETURNING q.creative_id
""")

_CLAIM_BACK = text("""
UPDATE review_queue q SET claimed_by = :reviewer,
    claimed_until = clock_timestamp() + make_interval(secs => :ttl)
WHERE q.creative_id = :creative
""")
_CAMPAIGN = text("SELECT id FROM campaign WHERE workspace_id = :ws AND slug = :slug")

# Each step asks an index for the next value: as quick with a million rows as with ten.
_VALUES = """
WITH RECURSIVE found AS (
    (SELECT {column} AS value FROM review_queue WHERE workspace_id = :ws
        ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT {column} FROM review_queue
        WHERE workspace_id = :ws AND {column} > found.value ORDER BY {column} LIMIT 1)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL LIMIT 200
"""
_CAMPAIGNS = text(f"""
SELECT k.slug FROM ({_VALUES.format(column="campaign_id")}) v JOIN campaign k ON k.id = v.value
ORDER BY k.slug
""")
_SCENES = text(_VALUES.format(column="scene_slug"))
_CATEGORIES = text(_VALUES.format(column="category"))
_REASONS = text("""
SELECT DISTINCT unnest(reasons) FROM (
    SELECT reasons FROM review_queue WHERE workspace_id = :ws
    ORDER BY distance, creative_id LIMIT 2000
) nearest ORDER BY 1
""")


def refresh(tx: Transaction, items: Sequence[int]) -> None:
    """Puts those of these run items into the queue that need review, and takes out the others."""
    if items:
        values = {"items": list(items)}
        tx.execute(_PUT, values)
        tx.execute(_TAKE_OUT, values)


def claim(
    tx: Transaction,
    ws: int,
    reviewer: str,
    chosen: ReviewFilter,
    *,
    limit: int,
    ttl_s: float,
    without: Sequence[int] = (),
) -> tuple[Claimed, ...]:
    """The next items, nearest to the gates first, now the reviewer's for `ttl_s` seconds.

    Those that the reviewer holds already are among them; those that another holds are not, nor
    creatives `without` which it shall be. Fewer than `limit` only where no more are free.
    """
    values = _values(tx, ws, chosen)
    if values is None:
        return ()
    values |= {
        "reviewer": storable(reviewer), "limit": limit, "ttl": ttl_s, "without": list(without),
    }  # fmt: skip
    rows = tx.execute(text(_CLAIM.format(conditions=_given(chosen))), values).all()
    return tuple(
        Claimed(
            r.creative_id,
            r.run_item_id,
            r.image_sha256,
            None if r.distance == float("inf") else r.distance,
            r.claimed_until,
        )
        for r in sorted(rows, key=lambda r: (r.distance, r.creative_id))
    )


def explain(tx: Transaction, ws: int, chosen: ReviewFilter) -> tuple[str, ...]:
    """How Postgres would find the next item; empty where there is no such campaign."""
    values = _values(tx, ws, chosen)
    if values is None:
        return ()
    values |= {"reviewer": "", "limit": 1, "ttl": 1.0, "without": []}
    query = text(f"EXPLAIN {_CLAIM.format(conditions=_given(chosen))}")
    return tuple(tx.execute(query, values).scalars())


def renew(
    tx: Transaction, ws: int, reviewer: str, creatives: Sequence[int], *, ttl_s: float
) -> tuple[int, ...]:
    """Keeps claims for another `ttl_s` seconds; returns those that are still the reviewer's."""
    return tuple(sorted(tx.execute(_RENEW, {
        "ws": ws, "reviewer": storable(reviewer), "creatives": list(creatives), "ttl": ttl_s,
    }).scalars()))  # fmt: skip


def release(tx: Transaction, ws: int, reviewer: str, creatives: Sequence[int]) -> int:
    """Gives claims up at once; returns how many were the reviewer's."""
    values = {"ws": ws, "reviewer": storable(reviewer), "creatives": list(creatives)}
    return len(tx.execute(_RELEASE, values).all())


def claim_back(tx: Transaction, creative_id: int, reviewer: str, *, ttl_s: float) -> None:
    """Gives an item to the reviewer who took a word on it back; no other can have seen it."""
    values = {"creative": creative_id, "reviewer": storable(reviewer), "ttl": ttl_s}
    tx.execute(_CLAIM_BACK, values)


def waiting(tx: Transaction, ws: int, chosen: ReviewFilter, *, at_most: int = 1000) -> int:
    """How many items wait, claimed or not, counted up to `at_most`."""
    values = _values(tx, ws, chosen)
    if values is None:
        return 0
    query = (
        f"SELECT count(*) FROM (SELECT FROM review_queue q WHERE {_given(chosen)} LIMIT :limit) n"
    )
    return int(tx.execute(text(query), {**values, "limit": at_most}).scalar_one())


def choices(tx: Transaction, ws: int) -> dict[str, tuple[str, ...]]:
    """What the queue can be filtered by: campaigns, scenes, categories, and the reasons of the
    items nearest to the gates."""
    queries = {
        "campaign": _CAMPAIGNS, "scene": _SCENES, "category": _CATEGORIES, "reason": _REASONS,
    }  # fmt: skip
    return {name: tuple(tx.execute(query, {"ws": ws}).scalars()) for name, query in queries.items()}


def _given(chosen: ReviewFilter) -> str:
    asked = [sql for name, sql in _CONDITIONS.items() if getattr(chosen, name) is not None]
    return " AND ".join(["q.workspace_id = :ws", *asked])


def _values(tx: Transaction, ws: int, chosen: ReviewFilter) -> dict[str, Any] | None:
    """The parameters; None where there is no such campaign, of which nothing waits."""
    values: dict[str, Any] = {
        "ws": ws,
        "scene": storable_or_none(chosen.scene),
        "category": storable_or_none(chosen.category),
        "reason": storable_or_none(chosen.reason),
        "score": storable(chosen.score or ""),
        "score_min": chosen.score_min,
        "score_max": chosen.score_max,
    }
    if chosen.campaign is not None:
        slug = {"ws": ws, "slug": storable(chosen.campaign)}
        values["campaign"] = tx.execute(_CAMPAIGN, slug).scalar_one_or_none()
        if values["campaign"] is None:
            return None
    return values
