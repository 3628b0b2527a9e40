"""Planned slots become run items and renders; renders that exist are shared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.errors import ConflictError, NotFoundError
from adloom.finishing_spec import FinishingSpec
from adloom.planning import PlannedItem, SkippedProduct
from adloom.records import PlanCounts
from adloom.render_spec import fingerprint_of
from adloom.states import RenderState, RunState
from db.copying import stage
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

_SLOTS = """
product_id bigint, photo_role photo_role, scene_slug text, format_slug text, variant bigint,
scene_version bigint, draw bigint, finish_hash text, fingerprint text, spec jsonb, warning text,
product_inputs bytea, recipe_inputs bytea, due boolean
"""

_PRODUCT, _FINGERPRINT, _DUE = 0, 8, 13  # their places in a staged row

# Found by the staged fingerprints one by one, however the planner takes the sizes of the tables.
_RENDER = """
CROSS JOIN LATERAL (SELECT x.id, x.state, x.xmin FROM render x
    WHERE x.workspace_id = :ws AND x.fingerprint = t.fingerprint OFFSET 0) r
"""

CREATIVES_OF = """
have AS MATERIALIZED (
    SELECT id, product_id, photo_role, scene_slug, format_slug, variant, product_inputs,
        recipe_inputs, planned_render_id, plan_warning, recall_id
    FROM creative WHERE workspace_id = :ws AND campaign_id = :campaign
        AND product_id = ANY (CAST(:products AS bigint[]))
)"""

_SAME_SLOT = """
c.product_id = t.product_id AND c.photo_role = t.photo_role AND c.scene_slug = t.scene_slug
    AND c.format_slug = t.format_slug AND c.variant = t.variant
"""

# Sorted, so that two runs that plan the same renders wait for one another instead of deadlocking.
_RENDERS = text("""
INSERT INTO render (workspace_id, fingerprint, spec)
SELECT :ws, t.fingerprint, t.spec FROM pg_temp.planned_slot t WHERE t.due
ORDER BY t.fingerprint ON CONFLICT DO NOTHING
""")

# All but those that this transaction inserted: nobody else sees these.
_UNRENDERED = text(f"""
SELECT DISTINCT r.id FROM pg_temp.planned_slot t {_RENDER}
WHERE t.due AND r.state <> 'rendered' AND r.xmin <> CAST(pg_current_xact_id() AS xid)
""")

# The lock makes "this run needs the render" and "no run needs it: cancel" exclude one another. A
# render that is there is never cancelled and needs none.
_LOCK_RENDERS = text("""
SELECT id FROM render WHERE id = ANY (CAST(:ids AS bigint[])) AND state <> 'rendered'
ORDER BY id FOR NO KEY UPDATE
""")

_CREATIVES = text(f"""
INSERT INTO creative AS c (workspace_id, campaign_id, product_id, photo_role, scene_slug,
    format_slug, variant, product_inputs, recipe_inputs, planned_render_id, plan_warning)
SELECT :ws, :campaign, t.product_id, t.photo_role, t.scene_slug, t.format_slug, t.variant,
    t.product_inputs, t.recipe_inputs, r.id, t.warning
FROM pg_temp.planned_slot t {_RENDER}
WHERE t.due AND t.draw = 0
ORDER BY t.product_id, t.photo_role, t.scene_slug, t.format_slug, t.variant
ON CONFLICT (workspace_id, campaign_id, product_id, photo_role, scene_slug, format_slug, variant)
DO UPDATE SET product_inputs = excluded.product_inputs, recipe_inputs = excluded.recipe_inputs,
    planned_render_id = excluded.planned_render_id, plan_warning = excluded.plan_warning
WHERE (c.product_inputs, c.recipe_inputs, c.planned_render_id) IS DISTINCT FROM
    (excluded.product_inputs, excluded.recipe_inputs, excluded.planned_render_id)
""")

# Slots that are not due are there already; what they were planned from this time is kept.
_REMEMBER = text(f"""
WITH {CREATIVES_OF}
UPDATE creative u SET product_inputs = t.product_inputs, recipe_inputs = t.recipe_inputs,
    planned_render_id = r.id, plan_warning = t.warning
FROM pg_temp.planned_slot t JOIN have c ON {_SAME_SLOT} {_RENDER}
WHERE NOT t.due AND t.draw = 0 AND u.id = c.id
""")

# A render whose batch is still worked on stays in it: its worker will find it again.
_RESET = text("""
UPDATE render r SET error_class = NULL, error_message = NULL, error_retryable = NULL,
    ended_at = NULL, batch_id = b.id,
    state = CAST(CASE b.state WHEN 'leased' THEN 'leased' ELSE 'pending' END AS render_state)
FROM render s LEFT JOIN batch b ON b.id = s.batch_id AND b.state IN ('pending', 'leased')
WHERE s.id = r.id AND r.id = ANY (CAST(:ids AS bigint[]))
    AND (r.state = 'cancelled' OR (r.state = 'failed'
        AND (:reset_failed OR (r.error_retryable AND r.attempts < :max_attempts))))
RETURNING r.id
""")

_INSERT_ITEMS = text(f"""
WITH {CREATIVES_OF}, added AS (
    INSERT INTO run_item (workspace_id, run_id, creative_id, render_id, scene_version, draw,
        finish_hash, disposition, warning)
    SELECT :ws, :run, c.id, r.id, t.scene_version, t.draw, t.finish_hash,
        CAST(CASE r.state WHEN 'rendered' THEN 'reused' ELSE 'new' END AS disposition), t.warning
    FROM pg_temp.planned_slot t JOIN have c ON {_SAME_SLOT} {_RENDER}
    WHERE t.due AND c.recall_id IS NULL
        AND (CAST(:creatives AS bigint[]) IS NULL OR c.id = ANY (:creatives))
    ORDER BY c.id ON CONFLICT DO NOTHING
    RETURNING disposition
)
SELECT count(*) AS slots, count(*) FILTER (WHERE disposition = 'new') AS new FROM added
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


@dataclass(frozen=True, slots=True)
class SlotRows:
    """A chunk (some thousands) of planned slots as they are copied to Postgres. Making them takes
    a processor as long as storing them takes Postgres: who plans a million makes them meanwhile.
    """

    rows: Sequence[tuple[Any, ...]]
    finishings: Sequence[FinishingSpec]

    @classmethod
    def of(
        cls, spec: CampaignSpec, due: Sequence[PlannedItem], not_due: Sequence[PlannedItem] = ()
    ) -> "SlotRows":
        """Of slots that are `not_due` only what they were planned from is to be kept."""
        formats = {i.slot.format_slug for i in (*due, *not_due)}
        finishings = {slug: spec.finishing_for(slug) for slug in formats}
        hashes = {slug: finishing.finish_hash for slug, finishing in finishings.items()}
        rows = [_row(i, hashes[i.slot.format_slug], True) for i in due]
        rows += [_row(i, hashes[i.slot.format_slug], False) for i in not_due]
        return cls(rows, tuple(finishings.values()))

    @property
    def renders(self) -> int:
        """How many are due."""
        return len({row[_FINGERPRINT] for row in self.rows if row[_DUE]})

    def products(self, *, due: bool) -> list[int]:
        return list({row[_PRODUCT] for row in self.rows if row[_DUE] is due})


def add_items(
    tx: Transaction,
    run_id: int,
    items: Sequence[PlannedItem] | SlotRows,
    *,
    reset_failed: bool = False,
    staged: bool = False,
) -> PlanCounts:
    """Turns a chunk (some thousands) of planned slots into run items; counts those that are new.

    Renders that exist are shared, missing ones inserted as pending. A cancelled render becomes
    pending again; so does one that failed for a reason that may have passed, as often as the
    campaign allows, and any failed one with `reset_failed`. Adding an item again does nothing.
    staged: the transaction has copied these rows already (`stage_slots`). Raises ConflictError when
    the run has ended.
    """
    plan = open_plan(tx, run_id)
    slots = items if isinstance(items, SlotRows) else SlotRows.of(plan.spec, items)
    plan.record_recipes(tx, slots)
    if not staged:
        stage_slots(tx, slots)
    plan.store_renders(tx, slots.renders, reset_failed=reset_failed)
    tx.execute(_CREATIVES, plan.values)
    if not_due := slots.products(due=False):
        tx.execute(_REMEMBER, {**plan.values, "products": not_due})
    counts = plan.insert(tx, slots)
    count_slots(tx, run_id, counts.slots)
    return counts


def stage_slots(tx: Transaction, slots: SlotRows) -> None:
    """Copies slots into the transaction's staging table. It takes no lock: while one transaction
    holds the run and adds items, the next one can copy its own."""
    stage(tx, "planned_slot", _SLOTS, slots.rows)


def lock_run(tx: Transaction, run_id: int) -> None:
    """Waits for whoever adds items to the run. Before `run_leases.hold`, whose weaker lock two
    transactions may have at once: each would then wait for the other's."""
    tx.execute(_RUN_FOR_ITEMS, {"run": run_id})


def count_slots(tx: Transaction, run_id: int, slots: int) -> None:
    """Raises the number of slots that a run's plan has."""
    tx.execute(_COUNT_SLOTS, {"run": run_id, "slots": slots})


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

    @property
    def values(self) -> dict[str, Any]:
        """What the statements over staged slots read."""
        return {"ws": self.workspace_id, "run": self.run_id, "campaign": self.campaign_id}

    def record_recipes(self, tx: Transaction, slots: SlotRows) -> None:
        """How the slots are finished, by hash."""
        recipes = [{"finish_hash": f.finish_hash, "spec": f.to_json()} for f in slots.finishings]
        tx.execute(_RECIPES, {"ws": self.workspace_id, "recipes": as_json(recipes)})

    def store_renders(self, tx: Transaction, renders: int, *, reset_failed: bool) -> None:
        """Inserts those of the staged slots' `renders` that are missing; locks the others that are
        yet to be made."""
        inserted: int = tx.execute(_RENDERS, self.values).rowcount  # pyright: ignore[reportAttributeAccessIssue]
        if inserted < renders:
            there = list(tx.execute(_UNRENDERED, self.values).scalars())
            need_renders(tx, there, self.spec.max_attempts, reset_failed=reset_failed)

    def insert(
        self,
        tx: Transaction,
        slots: SlotRows,
        *,
        creatives: Sequence[int] | None = None,
    ) -> PlanCounts:
        """Inserts run items for staged slots whose renders are there, of `creatives` only if
        given."""
        only = None if creatives is None else list(creatives)
        values = {**self.values, "products": slots.products(due=True), "creatives": only}
        added, new = tx.execute(_INSERT_ITEMS, values).one()
        return PlanCounts(added, new, added - new)


def _row(item: PlannedItem, finish_hash: str, due: bool) -> tuple[Any, ...]:
    slot, spec, inputs = item.slot, item.spec.canonical_json, item.inputs
    return (
        slot.product_id,
        slot.photo_role.value,
        slot.scene_slug,
        slot.format_slug,
        slot.variant,
        item.scene_version,
        item.draw,
        finish_hash,
        fingerprint_of(spec),
        spec,
        item.warning,
        inputs.product if inputs else None,
        inputs.recipe if inputs else None,
        due,
    )


def need_renders(
    tx: Transaction, ids: Sequence[int], max_attempts: int, *, reset_failed: bool = False
) -> None:
    """Locks renders that the transaction's run is to need, and makes cancelled ones pending; also
    those that failed for a reason that may have passed, less often than `max_attempts`."""
    if ids:
        locked = list(tx.execute(_LOCK_RENDERS, {"ids": list(ids)}).scalars())
        reset_renders(tx, locked, max_attempts, reset_failed=reset_failed)


def reset_renders(
    tx: Transaction, ids: Sequence[int], max_attempts: int = 0, *, reset_failed: bool
) -> int:
    """Makes cancelled renders (and failed ones: all if asked, else those that may succeed and were
    tried less often than `max_attempts`) pending again; attempts stay counted."""
    values = {"ids": list(ids), "reset_failed": reset_failed, "max_attempts": max_attempts}
    return len(tx.execute(_RESET, values).all())


def record_skipped(tx: Transaction, run_id: int, skipped: Sequence[SkippedProduct]) -> None:
    """Records the products from which nothing could be planned."""
    rows = as_json(
        {"product_id": s.product_id, "reason": s.reason, "detail": bounded(s.detail)}
        for s in skipped
    )
    tx.execute(_SKIPPED, {"run": run_id, "skipped": rows})
