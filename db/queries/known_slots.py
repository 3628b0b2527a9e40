"""Slots whose inputs are those that they were last planned from: taken into a run without planning.

A chunk of products is staged with the recipes that suit each; all else is joins with `creative`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from adloom.campaign import CampaignSpec, Refresh
from adloom.errors import ConflictError
from adloom.planning import PlannableProduct, SlotRecipe
from adloom.records import KnownCounts, PlanCounts
from db.copying import stage
from db.engine import Transaction
from db.queries.refreshing import LAST_RENDERED
from db.queries.run_items import CREATIVES_OF, count_slots, need_renders, open_plan

_PRODUCTS = "place bigint, product_id bigint, photo_role photo_role, inputs bytea, suit bigint"
_RECIPES = """
suit bigint, place bigint, scene_slug text, format_slug text, variant bigint, inputs bytea,
scene_version bigint, finish_hash text
"""
_KNOWN = """
creative_id bigint, render_id bigint, scene_version bigint, finish_hash text, warning text,
recalled boolean
"""

_WANTED = """
pg_temp.wanted_product w JOIN pg_temp.wanted_recipe q ON q.suit = w.suit
LEFT JOIN have c ON c.product_id = w.product_id AND c.photo_role = w.photo_role
    AND c.scene_slug = q.scene_slug AND c.format_slug = q.format_slug AND c.variant = q.variant
"""

_IS_KNOWN = """
(c.product_inputs = w.inputs AND c.recipe_inputs = q.inputs AND c.planned_render_id IS NOT NULL)
"""

_NOT_KNOWN = text(f"""
WITH {CREATIVES_OF}
SELECT w.place AS product, q.place AS recipe, c.recall_id IS NOT NULL AS recalled FROM {_WANTED}
WHERE c.recall_id IS NOT NULL OR {_IS_KNOWN} IS NOT TRUE
ORDER BY w.place, q.place
""")

# One that was recalled since it was asked for is matched, and then left out.
_MATCH = text(f"""
WITH {CREATIVES_OF}
INSERT INTO pg_temp.known_slot
SELECT c.id, c.planned_render_id, q.scene_version, q.finish_hash, c.plan_warning,
    c.recall_id IS NOT NULL
FROM {_WANTED} WHERE c.id IS NOT NULL AND ({_IS_KNOWN} OR c.recall_id IS NOT NULL)
""")

_LEAVE_OUT_RECALLED = text("DELETE FROM pg_temp.known_slot WHERE recalled")

_NOT_DUE = text(f"""
DELETE FROM pg_temp.known_slot k WHERE (
    SELECT CAST(:refresh AS text) = 'new'
        OR (last.render_id = k.render_id AND last.finish_hash = k.finish_hash)
    FROM ({LAST_RENDERED.format(creative="k.creative_id")}) last)
""")

# By the partial index of renders that are not there: when all are, no render's row is read.
_UNRENDERED = """
SELECT x.id FROM render x WHERE x.id = k.render_id AND x.state <> 'rendered' OFFSET 0
"""

_UNRENDERED_IDS = text(f"""
SELECT DISTINCT u.id FROM pg_temp.known_slot k CROSS JOIN LATERAL ({_UNRENDERED}) u
""")

_INSERT = text(f"""
WITH added AS (
    INSERT INTO run_item (workspace_id, run_id, creative_id, render_id, scene_version, draw,
        finish_hash, disposition, warning)
    SELECT :ws, :run, k.creative_id, k.render_id, k.scene_version, 0, k.finish_hash,
        CAST(CASE WHEN u.id IS NULL THEN 'reused' ELSE 'new' END AS disposition), k.warning
    FROM pg_temp.known_slot k LEFT JOIN LATERAL ({_UNRENDERED}) u ON true
    ORDER BY k.creative_id ON CONFLICT DO NOTHING
    RETURNING disposition
)
SELECT count(*) AS slots, count(*) FILTER (WHERE disposition = 'new') AS new FROM added
""")

_COUNT = text(f"""
SELECT count(*) AS slots, array_agg(DISTINCT c.product_id) AS products,
    count(*) FILTER (WHERE u.id IS NULL) AS rendered,
    array_agg(DISTINCT u.id) FILTER (WHERE u.id IS NOT NULL) AS missing
FROM pg_temp.known_slot k JOIN creative c ON c.id = k.creative_id
LEFT JOIN LATERAL ({_UNRENDERED}) u ON true
""")

_WARNINGS = text("""
SELECT warning, count(*) AS n FROM pg_temp.known_slot WHERE warning IS NOT NULL GROUP BY 1
""")

_FINGERPRINTS = text("SELECT fingerprint FROM render WHERE id = ANY (CAST(:ids AS bigint[]))")


@dataclass(frozen=True, slots=True)
class WantedSlots:
    """A chunk of products (some hundreds), each with the recipes of its slots."""

    spec: CampaignSpec
    products: Sequence[tuple[PlannableProduct, tuple[SlotRecipe, ...]]]

    @property
    def slots(self) -> int:
        return sum(len(recipes) for _, recipes in self.products)

    def stage(self, tx: Transaction) -> None:
        """Copies the chunk into the transaction's staging tables."""
        suits = {id(recipes): recipes for _, recipes in self.products}
        finish = {f: self.spec.finishing_for(f).finish_hash for f in self.spec.formats}
        stage(tx, "wanted_product", _PRODUCTS, (
            (place, p.product_id, p.photo_role.value, p.inputs, id(recipes))
            for place, (p, recipes) in enumerate(self.products)
        ))  # fmt: skip
        stage(tx, "wanted_recipe", _RECIPES, _recipe_rows(suits, finish))

    def values(self, ws: int, campaign_id: int) -> dict[str, object]:
        products = list({p.product_id for p, _ in self.products})
        return {"ws": ws, "campaign": campaign_id, "products": products}


def _recipe_rows(
    suits: Mapping[int, tuple[SlotRecipe, ...]], finish: Mapping[str, str]
) -> Iterable[tuple[object, ...]]:
    for suit, recipes in suits.items():
        for place, r in enumerate(recipes):
            yield (
                suit, place, r.scene.slug, r.fmt.slug, r.variant, r.inputs, r.scene.version,
                finish[r.fmt.slug],
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AskedSlots:
    """How the slots of a chunk stand: those to be planned, product by product, how many are
    recalled, and how many are neither: these are known."""

    unknown: Sequence[tuple[PlannableProduct, Sequence[SlotRecipe]]]
    known: int
    recalled: Sequence[tuple[PlannableProduct, int]]


def ask(tx: Transaction, ws: int, campaign_id: int, wanted: WantedSlots) -> AskedSlots:
    """How the slots of the chunk stand in a campaign; nothing is written."""
    wanted.stage(tx)
    unknown: dict[int, list[SlotRecipe]] = {}
    recalled: Counter[int] = Counter()
    for product, recipe, is_recalled in tx.execute(_NOT_KNOWN, wanted.values(ws, campaign_id)):
        if is_recalled:
            recalled[product] += 1
        else:
            unknown.setdefault(product, []).append(wanted.products[product][1][recipe])
    return AskedSlots(
        [(wanted.products[product][0], recipes) for product, recipes in unknown.items()],
        wanted.slots - sum(map(len, unknown.values())) - recalled.total(),
        [(wanted.products[product][0], slots) for product, slots in recalled.items()],
    )


def add(tx: Transaction, run_id: int, wanted: WantedSlots, *, known: int) -> PlanCounts:
    """Makes run items of the chunk's known slots that the spec's `refresh` takes.

    `known` is how many `ask` found: raises ConflictError if they are fewer by now, or if the run
    has ended.
    """
    plan = open_plan(tx, run_id)
    _stage_due(tx, plan.workspace_id, plan.campaign_id, wanted, known)
    need_renders(tx, list(tx.execute(_UNRENDERED_IDS).scalars()), plan.spec.max_attempts)
    slots, new = tx.execute(_INSERT, plan.values).one()
    count_slots(tx, run_id, slots)
    return PlanCounts(slots, new, slots - new)


def count(
    tx: Transaction, ws: int, campaign_id: int, wanted: WantedSlots, *, known: int
) -> KnownCounts:
    """What `add` would take into a run, without a row written but to staging tables."""
    _stage_due(tx, ws, campaign_id, wanted, known)
    row = tx.execute(_COUNT).one()
    missing = tx.execute(_FINGERPRINTS, {"ids": row.missing or []}).scalars()
    warnings = {r.warning: r.n for r in tx.execute(_WARNINGS)}
    return KnownCounts(row.slots, tuple(row.products or ()), row.rendered, tuple(missing), warnings)


def _stage_due(tx: Transaction, ws: int, campaign_id: int, wanted: WantedSlots, known: int) -> None:
    wanted.stage(tx)
    stage(tx, "known_slot", _KNOWN, ())
    matched = tx.execute(_MATCH, wanted.values(ws, campaign_id))
    if matched.rowcount < known:  # pyright: ignore[reportAttributeAccessIssue]
        raise ConflictError(
            "slots were planned by another process meanwhile",
            where=f"campaign '{wanted.spec.slug}'",
            hint="run the campaign again: it goes on where it was",
        )
    tx.execute(_LEAVE_OUT_RECALLED)
    if wanted.spec.refresh is not Refresh.ALL:
        tx.execute(_NOT_DUE, {"refresh": wanted.spec.refresh.value})
