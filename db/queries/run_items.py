"""Planned slots become run items and renders; renders that exist are shared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.errors import ConflictError, NotFoundError
from adloom.planning import PlannedItem, SkippedProduct
from adloom.records import PlanCounts
from adloom.states import RenderState, RunState
from db.engine import Transaction
from db.text import as_json, bounded

ENDED = (RunState.COMPLETE, RunState.FAILED, RunState.CANCELLED)

_EXISTING = text("""
SELECT fingerprint, state FROM render
WHERE workspace_id = :ws AND fingerprint = ANY (CAST(:fingerprints AS text[]))
""")

_RUN_FOR_ITEMS = text("""
SELECT workspace_id, campaign_id, spec, state FROM run WHERE id = :run FOR NO KEY UPDATE
""")

_RECIPES = text("""
INSERT INTO finishing_recipe (workspace_id, finish_hash, spec)
SELECT :ws, t.finish_hash, t.spec
FROM jsonb_to_recordset(CAST(:recipes AS jsonb)) AS t(finish_hash text, spec jsonb)
ORDER BY t.finish_hash ON CONFLICT DO NOTHING
""")

_ITEMS = """
jsonb_to_recordset(CAST(:items AS jsonb)) AS t(product_id bigint, photo_role photo_role,
    scene_slug text, format_slug text, variant bigint, scene_version bigint, draw bigint,
    finish_hash text, fingerprint text, warning text)
"""

_CREATIVES = text(f"""
INSERT INTO creative (workspace_id, campaign_id, product_id, photo_role, scene_slug, format_slug,
    variant)
SELECT DISTINCT :ws, :campaign, t.product_id, t.photo_role, t.scene_slug, t.format_slug, t.variant
FROM {_ITEMS}
ORDER BY 3, 4, 5, 6, 7 ON CONFLICT DO NOTHING
""")

# Sorted, so that two runs that plan the same renders wait for one another instead of deadlocking.
_RENDERS = text("""
INSERT INTO render (workspace_id, fingerprint, spec)
SELECT :ws, t.fingerprint, t.spec
FROM jsonb_to_recordset(CAST(:renders AS jsonb)) AS t(fingerprint text, spec jsonb)
ORDER BY t.fingerprint ON CONFLICT DO NOTHING
""")

# The lock makes "this run needs the render" and "no run needs it: cancel" exclude one another.
_LOCK_RENDERS = text("""
SELECT id FROM render
WHERE workspace_id = :ws AND fingerprint = ANY (CAST(:fingerprints AS text[]))
ORDER BY id FOR NO KEY UPDATE
""")

# A render whose batch is still worked on stays in it: its worker will find it again.
_RESET = text("""
UPDATE render r SET error_class = NULL, error_message = NULL, error_retryable = NULL,
    ended_at = NULL, batch_id = b.id,
    state = CAST(CASE b.state WHEN 'leased' THEN 'leased' ELSE 'pending' END AS render_state)
FROM render s LEFT JOIN batch b ON b.id = s.batch_id AND b.state IN ('pending', 'leased')
WHERE s.id = r.id AND r.id = ANY (CAST(:ids AS bigint[]))
    AND (r.state = 'cancelled' OR (r.state = 'failed' AND (:reset_failed OR r.error_retryable)))
RETURNING r.id
""")

_INSERT_ITEMS = text(f"""
INSERT INTO run_item (workspace_id, run_id, creative_id, render_id, scene_version, draw,
    finish_hash, disposition, warning)
SELECT :ws, :run, c.id, r.id, t.scene_version, t.draw, t.finish_hash,
    CAST(CASE r.state WHEN 'rendered' THEN 'reused' ELSE 'new' END AS disposition), t.warning
FROM {_ITEMS}
JOIN creative c ON c.workspace_id = :ws AND c.campaign_id = :campaign
    AND c.product_id = t.product_id AND c.photo_role = t.photo_role
    AND c.scene_slug = t.scene_slug AND c.format_slug = t.format_slug AND c.variant = t.variant
JOIN render r ON r.workspace_id = :ws AND r.fingerprint = t.fingerprint
WHERE CAST(:creatives AS bigint[]) IS NULL OR c.id = ANY (:creatives)
ORDER BY c.id ON CONFLICT DO NOTHING
RETURNING disposition
""")

_COUNT_SLOTS = text("UPDATE run SET planned_slots = planned_slots + :slots WHERE id = :run")

_SKIPPED = text("""
INSERT INTO run_skipped (run_id, product_id, reason, detail)
SELECT :run, t.product_id, t.reason, t.detail
FROM jsonb_to_recordset(CAST(:skipped AS jsonb))
    AS t(product_id bigint, reason text, detail text)
ON CONFLICT DO NOTHING
""")


def existing(tx: Transaction, ws: int, fingerprints: Sequence[str]) -> dict[str, RenderState]:
    """Which of these renders are there, and how they stand."""
    values = {"ws": ws, "fingerprints": list(fingerprints)}
    return {r.fingerprint: RenderState(r.state) for r in tx.execute(_EXISTING, values)}


def add_items(
    tx: Transaction, run_id: int, items: Sequence[PlannedItem], *, reset_failed: bool = False
) -> PlanCounts:
    """Turns a chunk (about 1000) of planned slots into run items; counts those that are new.

    Renders that exist are shared, missing ones inserted as pending. A cancelled render becomes
    pending again; a failed one only with `reset_failed`. Adding an item again does nothing.
    Raises ConflictError when the run has ended.
    """
    plan = open_plan(tx, run_id)
    plan.store_renders(tx, items, reset_failed=reset_failed)
    tx.execute(_CREATIVES, plan.parameters(items))
    counts = plan.insert(tx, items)
    tx.execute(_COUNT_SLOTS, {"run": run_id, "slots": counts.slots})
    return counts


def open_plan(tx: Transaction, run_id: int) -> "RunPlan":
    """The run to add items to, locked. Raises NotFoundError, ConflictError when it has ended."""
    run = tx.execute(_RUN_FOR_ITEMS, {"run": run_id}).one_or_none()
    if run is None:
        raise NotFoundError(f"no run {run_id}", hint="see `adloom runs`")
    if RunState(run.state) in ENDED:
        raise ConflictError(f"run {run_id} has ended ({run.state}); it takes no more items")
    return RunPlan(run_id, run.workspace_id, run.campaign_id, CampaignSpec.from_json(run.spec))


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run that takes items: what their rows have in common."""

    run_id: int
    workspace_id: int
    campaign_id: int
    spec: CampaignSpec

    def store_renders(
        self, tx: Transaction, items: Sequence[PlannedItem], *, reset_failed: bool
    ) -> None:
        """Inserts missing renders and recipes, and locks the renders until the commit."""
        ws = self.workspace_id
        recipes = [
            {"finish_hash": f.finish_hash, "spec": f.to_json()}
            for f in map(self.spec.finishing_for, {i.slot.format_slug for i in items})
        ]
        tx.execute(_RECIPES, {"ws": ws, "recipes": as_json(recipes)})
        specs = {item.spec.fingerprint: item.spec for item in items}
        renders = as_json({"fingerprint": f, "spec": s.to_json()} for f, s in specs.items())
        tx.execute(_RENDERS, {"ws": ws, "renders": renders})
        locked = tx.execute(_LOCK_RENDERS, {"ws": ws, "fingerprints": list(specs)}).scalars()
        reset_renders(tx, list(locked), reset_failed=reset_failed)

    def insert(
        self,
        tx: Transaction,
        items: Sequence[PlannedItem],
        *,
        creatives: Sequence[int] | None = None,
    ) -> PlanCounts:
        """Inserts run items for slots and renders that are there, of `creatives` only if given."""
        only = None if creatives is None else list(creatives)
        rows = tx.execute(_INSERT_ITEMS, {**self.parameters(items), "creatives": only})
        added = [row.disposition for row in rows]
        return PlanCounts(len(added), added.count("new"), added.count("reused"))

    def parameters(self, items: Sequence[PlannedItem]) -> dict[str, Any]:
        """What the statements over planned items read."""
        hashes = {
            slug: self.spec.finishing_for(slug).finish_hash
            for slug in {i.slot.format_slug for i in items}
        }
        rows = [
            {
                "product_id": i.slot.product_id,
                "photo_role": i.slot.photo_role.value,
                "scene_slug": i.slot.scene_slug,
                "format_slug": i.slot.format_slug,
                "variant": i.slot.variant,
                "scene_version": i.scene_version,
                "draw": i.draw,
                "finish_hash": hashes[i.slot.format_slug],
                "fingerprint": i.spec.fingerprint,
                "warning": i.warning,
            }
            for i in items
        ]
        return {
            "ws": self.workspace_id,
            "run": self.run_id,
            "campaign": self.campaign_id,
            "items": as_json(rows),
        }


def reset_renders(tx: Transaction, ids: Sequence[int], *, reset_failed: bool) -> int:
    """Makes cancelled renders (and failed ones if asked) pending again; attempts stay counted."""
    return len(tx.execute(_RESET, {"ids": list(ids), "reset_failed": reset_failed}).all())


def record_skipped(tx: Transaction, run_id: int, skipped: Sequence[SkippedProduct]) -> None:
    """Records the products from which nothing could be planned."""
    rows = as_json(
        {"product_id": s.product_id, "reason": s.reason, "detail": bounded(s.detail)}
        for s in skipped
    )
    tx.execute(_SKIPPED, {"run": run_id, "skipped": rows})
