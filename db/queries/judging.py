"""Judging: items that ended by themselves, verdicts on the others, next draws of the rejected."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from adloom.catalog import PhotoRole
from adloom.planning import PlannedItem, SlotKey
from adloom.records import ItemVerdict, JudgeItem, RejectedItem
from adloom.render_spec import RenderSpec
from adloom.states import Outcome, ReviewDecision
from db.engine import Transaction
from db.queries import review_queue
from db.queries.run_items import SlotRows, open_plan, stage_slots
from db.text import as_json

_CLOSE_FAILED = text("""
WITH ended AS (
    UPDATE run_item i SET outcome = 'failed', ended_at = now(), error_class = r.error_class,
        error_message = r.error_message, error_retryable = r.error_retryable, attempts = r.attempts
    FROM render r
    WHERE i.run_id = :run AND i.outcome = 'open' AND r.id = i.render_id AND r.state = 'failed'
    RETURNING 1
)
SELECT count(*) FROM ended
""")

_CLOSE_UNFINISHED = text("""
WITH ended AS (
    UPDATE run_item i SET outcome = 'failed', ended_at = now(), error_class = f.error_class,
        error_message = f.error_message, error_retryable = f.error_retryable, attempts = f.attempts
    FROM render r, finishing_failure f
    WHERE i.run_id = :run AND i.outcome = 'open' AND r.id = i.render_id AND r.state = 'rendered'
        AND f.render_id = r.id AND f.finish_hash = i.finish_hash AND f.blocks
    RETURNING 1
)
SELECT count(*) FROM ended
""")

_CLOSE_CANCELLED = text("""
WITH ended AS (
    UPDATE run_item i SET outcome = 'cancelled', ended_at = now()
    FROM render r
    WHERE i.run_id = :run AND i.outcome = 'open' AND r.id = i.render_id AND r.state = 'cancelled'
    RETURNING 1
)
SELECT count(*) FROM ended
""")

# What was recalled, or is no longer sold, while its items were being added.
_CLOSE_WITHDRAWN = text("""
WITH ended AS (
    UPDATE run_item i SET outcome = 'cancelled', ended_at = now()
    FROM creative c JOIN product p ON p.id = c.product_id
    WHERE i.run_id = :run AND i.outcome = 'open' AND c.id = i.creative_id
        AND (c.recall_id IS NOT NULL OR NOT p.active)
    RETURNING 1
)
SELECT count(*) FROM ended
""")

_CLOSE = (
    (_CLOSE_WITHDRAWN, Outcome.CANCELLED),
    (_CLOSE_FAILED, Outcome.FAILED),
    (_CLOSE_UNFINISHED, Outcome.FAILED),
    (_CLOSE_CANCELLED, Outcome.CANCELLED),
)

SLOT = "c.product_id, c.photo_role, c.scene_slug, c.format_slug, c.variant"

_JUDGEABLE = text(f"""
SELECT i.id, i.creative_id, {SLOT}, i.draw, i.render_id, i.finish_hash, i.outcome, d.sha256,
    d.details,
    (SELECT v.decision FROM review v
        WHERE v.creative_id = i.creative_id AND v.image_sha256 = d.sha256
        ORDER BY v.id DESC LIMIT 1) AS review,
    (SELECT jsonb_object_agg(s.stage || '.' || kv.key, kv.value)
        FROM score s CROSS JOIN jsonb_each(s.values) AS kv
        WHERE s.render_id = i.render_id AND s.revision = :revision
            AND s.finish_hash IN ('raw', i.finish_hash)
            AND kv.value <> CAST('null' AS jsonb)) AS scores
FROM run_item i
JOIN creative c ON c.id = i.creative_id
JOIN render r ON r.id = i.render_id AND r.state = 'rendered'
JOIN rendition d ON d.workspace_id = i.workspace_id AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
WHERE i.run_id = :run AND i.creative_id > :after AND i.outcome = ANY (CAST(:outcomes AS outcome[]))
    AND c.recall_id IS NULL
ORDER BY i.creative_id LIMIT :limit
""")

_ITEMS = """
jsonb_to_recordset(CAST(:verdicts AS jsonb))
    AS t(run_item_id bigint, decision text, reasons jsonb)
"""

_INSERT_VERDICTS = text(f"""
INSERT INTO verdict (workspace_id, run_item_id, gate_set_hash, decision, reasons)
SELECT i.workspace_id, i.id, :gate_set, CAST(t.decision AS decision), t.reasons
FROM {_ITEMS} JOIN run_item i ON i.id = t.run_item_id AND i.run_id = :run
ON CONFLICT (run_item_id, gate_set_hash) DO UPDATE SET decision = excluded.decision,
    reasons = excluded.reasons, created_at = now()
""")

_SET_OUTCOMES = text(f"""
UPDATE run_item i SET outcome = CAST(t.decision AS outcome), ended_at = now()
FROM {_ITEMS}
WHERE i.id = t.run_item_id AND i.run_id = :run
    AND i.outcome IN ('open', 'approved', 'rejected', 'needs_review')
RETURNING i.id
""")

# A person's word that came while the item was being judged. The items are locked by now, as they
# are when a word is added.
_OVERRULE = text("""
UPDATE run_item i SET outcome = said.outcome
FROM (
    SELECT n.id, (
        SELECT CAST(CASE w.decision WHEN 'approve' THEN 'approved' WHEN 'reject' THEN 'rejected' END
            AS outcome)
        FROM review w WHERE w.creative_id = n.creative_id AND w.image_sha256 = d.sha256
        ORDER BY w.id DESC LIMIT 1) AS outcome
    FROM run_item n
    JOIN rendition d ON d.workspace_id = n.workspace_id AND d.render_id = n.render_id
        AND d.finish_hash = n.finish_hash
    WHERE n.id = ANY (CAST(:items AS bigint[]))
        AND EXISTS (SELECT FROM review w WHERE w.creative_id = n.creative_id)
) said
WHERE i.id = said.id AND i.outcome <> said.outcome
""")

# An approved image becomes the creative's current one; one no longer approved ceases to be it.
_SET_CURRENT = text("""
UPDATE creative c SET
    current_render_id = CASE WHEN i.outcome = 'approved' THEN i.render_id END,
    current_rendition_id = CASE WHEN i.outcome = 'approved' THEN d.id END
FROM run_item i
LEFT JOIN rendition d ON d.workspace_id = i.workspace_id AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
WHERE i.id = ANY (CAST(:items AS bigint[])) AND c.id = i.creative_id
    AND (i.outcome = 'approved' OR c.current_rendition_id = d.id)
""")

_REJECTED = text(f"""
SELECT i.id, i.creative_id, {SLOT}, i.scene_version, i.draw, r.spec
FROM run_item i
JOIN creative c ON c.id = i.creative_id
JOIN render r ON r.id = i.render_id
WHERE i.run_id = :run AND i.creative_id > :after AND i.outcome = 'rejected'
    AND c.recall_id IS NULL AND i.draw + 1 < :below_draw
ORDER BY i.creative_id LIMIT :limit
""")

_SUPERSEDE = text("""
UPDATE run_item i SET outcome = 'superseded'
FROM pg_temp.planned_slot t
JOIN creative c ON c.workspace_id = :ws AND c.campaign_id = :campaign
    AND c.product_id = t.product_id AND c.photo_role = t.photo_role
    AND c.scene_slug = t.scene_slug AND c.format_slug = t.format_slug AND c.variant = t.variant
WHERE i.run_id = :run AND i.creative_id = c.id AND i.outcome = 'rejected' AND i.draw = t.draw - 1
RETURNING i.creative_id
""")


def close_ended(tx: Transaction, run_id: int) -> dict[Outcome, int]:
    """Ends open items whose render or finishing failed or was cancelled, and those of creatives
    that are recalled or whose product is no longer sold."""
    ended: Counter[Outcome] = Counter()
    for statement, outcome in _CLOSE:
        ended[outcome] += tx.execute(statement, {"run": run_id}).scalar_one()
    return {outcome: n for outcome, n in ended.items() if n}


def judgeable(
    tx: Transaction,
    run_id: int,
    *,
    scorer_revision: str,
    include_judged: bool = False,
    after: int = 0,
    limit: int | None = None,
) -> tuple[JudgeItem, ...]:
    """Open items that have a rendition, with their scores; judged ones too if `include_judged`.

    At most `limit`, in the order of their creatives, the next `after` a creative: the last of the
    page before.
    """
    outcomes = [Outcome.OPEN.value]
    if include_judged:
        outcomes += [o.value for o in (Outcome.APPROVED, Outcome.REJECTED, Outcome.NEEDS_REVIEW)]
    values = {
        "run": run_id,
        "revision": scorer_revision,
        "outcomes": outcomes,
        "after": after,
        "limit": limit,
    }
    return tuple(
        JudgeItem(
            run_item_id=r.id,
            creative_id=r.creative_id,
            slot=slot_of(r),
            draw=r.draw,
            render_id=r.render_id,
            finish_hash=r.finish_hash,
            image_sha256=r.sha256,
            scores=r.scores or {},
            details=r.details,
            review=None if r.review is None else ReviewDecision(r.review),
            outcome=Outcome(r.outcome),
        )
        for r in tx.execute(_JUDGEABLE, values)
    )


def write_verdicts(
    tx: Transaction, run_id: int, gate_set: str, verdicts: Sequence[ItemVerdict]
) -> None:
    """Stores verdicts under the hash of their gates, and ends their items accordingly.

    Items that have ended otherwise (failed, cancelled, superseded) stay as they are. A person's
    word on the image stands above the verdict.
    """
    rows = as_json(
        {
            "run_item_id": v.run_item_id,
            "decision": v.verdict.decision.value,
            "reasons": [asdict(reason) for reason in v.verdict.reasons],
        }
        for v in verdicts
    )
    values = {"run": run_id, "gate_set": gate_set, "verdicts": rows}
    tx.execute(_INSERT_VERDICTS, values)
    judged = list(tx.execute(_SET_OUTCOMES, values).scalars())
    tx.execute(_OVERRULE, {"items": judged})
    settle(tx, judged)


def settle(tx: Transaction, items: Sequence[int]) -> None:
    """What follows from outcomes that were just set: the creatives' current images, and what waits
    for a person's word."""
    tx.execute(_SET_CURRENT, {"items": list(items)})
    review_queue.refresh(tx, items)


def rejected(
    tx: Transaction, run_id: int, *, below_draw: int, after: int = 0, limit: int | None = None
) -> tuple[RejectedItem, ...]:
    """Rejected items whose slot may be drawn again: `draw + 1 < below_draw`. Pages as
    `judgeable` does."""
    values = {"run": run_id, "below_draw": below_draw, "after": after, "limit": limit}
    return tuple(
        RejectedItem(
            run_item_id=r.id,
            creative_id=r.creative_id,
            slot=slot_of(r),
            scene_version=r.scene_version,
            draw=r.draw,
            spec=RenderSpec.from_json(r.spec),
        )
        for r in tx.execute(_REJECTED, values)
    )


def add_next_draws(tx: Transaction, run_id: int, items: Sequence[PlannedItem]) -> int:
    """Gives rejected slots their next draw; returns how many.

    The rejected item becomes superseded, the new one is open: the slot keeps one live item. An
    item whose slot has no rejected draw just before its own is left out.
    """
    if not items:
        return 0
    plan = open_plan(tx, run_id)
    slots = SlotRows.of(plan.spec, items)
    plan.record_recipes(tx, slots)
    stage_slots(tx, slots)
    plan.store_renders(tx, slots.renders, reset_failed=False)
    superseded = list(tx.execute(_SUPERSEDE, plan.values).scalars())
    return plan.insert(tx, slots, creatives=superseded).slots


def slot_of(row: Any) -> SlotKey:
    return SlotKey(
        row.product_id, PhotoRole(row.photo_role), row.scene_slug, row.format_slug, row.variant
    )
