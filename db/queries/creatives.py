"""Creatives with everything that made them: product, spec, render, rendition, scores, verdict."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import text

from adloom.errors import NotFoundError
from adloom.gates import Reason
from adloom.records import CreativeFilter, CreativeView, ProductSummary, StoredRender
from adloom.render_spec import RenderSpec
from adloom.states import Disposition, Outcome, RenderState
from db.engine import Transaction
from db.queries.catalog import price_of
from db.queries.judging import SLOT, slot_of
from db.queries.renditions import COLUMNS, rendition_of

_SELECT = f"""
SELECT i.id AS item_id, i.creative_id, i.run_id, k.slug AS campaign, {SLOT}, i.scene_version,
    i.draw, i.disposition, i.outcome, i.finish_hash, i.warning, i.error_class, i.error_message,
    i.attempts, p.external_id, p.item_group_id, p.title, p.category, p.brand, p.link,
    p.price_amount, p.price_currency, s.slug AS source, i.render_id, r.fingerprint,
    r.state AS render_state, r.spec, r.object_key, r.sha256, r.bytes, r.device, r.timings,
    {COLUMNS}, v.reasons, m.scores,
    CASE WHEN w.id IS NOT NULL THEN 'recalled: ' || w.reason
        WHEN NOT p.active THEN 'its product is no longer sold' END AS withdrawn
FROM run_item i
JOIN creative c ON c.id = i.creative_id
JOIN campaign k ON k.id = c.campaign_id
JOIN product p ON p.id = c.product_id
JOIN catalog_source s ON s.id = p.source_id
JOIN render r ON r.id = i.render_id
LEFT JOIN recall w ON w.id = c.recall_id
LEFT JOIN rendition d ON d.workspace_id = i.workspace_id AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
LEFT JOIN LATERAL (
    SELECT x.reasons FROM verdict x WHERE x.run_item_id = i.id
    ORDER BY x.created_at DESC, x.id DESC LIMIT 1
) v ON true
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(x.stage || '.' || kv.key, kv.value ORDER BY x.created_at) AS scores
    FROM score x CROSS JOIN jsonb_each(x.values) AS kv
    WHERE x.render_id = i.render_id AND x.finish_hash IN ('raw', i.finish_hash)
        AND kv.value <> CAST('null' AS jsonb)
) m ON true
"""

_ORDER = """
ORDER BY p.external_id, p.id, c.photo_role, c.scene_slug, c.format_slug, c.variant, i.draw
"""

_NEWEST = """
i.id = (SELECT max(n.id) FROM run_item n
    WHERE n.creative_id = c.id AND n.outcome <> 'superseded')
"""

_LIST = f"""{_SELECT}
WHERE i.workspace_id = :ws
    AND (CAST(:campaign AS text) IS NULL OR k.slug = :campaign)
    AND (CAST(:outcome AS outcome) IS NULL OR i.outcome = CAST(:outcome AS outcome))
    AND (CAST(:scene AS text) IS NULL OR c.scene_slug = :scene)
    AND (CAST(:format AS text) IS NULL OR c.format_slug = :format)
    AND (CAST(:product AS text) IS NULL OR p.external_id = :product)
    AND {{which}}
{_ORDER} LIMIT :limit OFFSET :offset
"""
_LIST_NEWEST = text(_LIST.format(which=_NEWEST))
_LIST_OF_RUN = text(
    _LIST.format(which="i.run_id = :run AND (i.outcome <> 'superseded' OR :superseded)")
)

_GET_NEWEST = text(f"{_SELECT} WHERE i.workspace_id = :ws AND c.id = :creative AND {_NEWEST}")
_GET_OF_RUN = text(
    f"{_SELECT} WHERE i.workspace_id = :ws AND c.id = :creative AND i.run_id = :run "
    "AND i.outcome <> 'superseded'"
)

_OF_ITEMS = text(f"{_SELECT} WHERE i.workspace_id = :ws AND i.id = ANY (CAST(:items AS bigint[]))")

_OF_RUN = text(
    f"{_SELECT} WHERE i.run_id = :run AND i.outcome = ANY (CAST(:outcomes AS outcome[])) {_ORDER}"
)
_PAGE_ROWS = 200


def list_creatives(tx: Transaction, ws: int, chosen: CreativeFilter) -> tuple[CreativeView, ...]:
    """Creatives as they stand in a run, or in the newest run that had them."""
    values = {
        "ws": ws,
        "campaign": chosen.campaign,
        "outcome": chosen.outcome.value if chosen.outcome else None,
        "scene": chosen.scene,
        "format": chosen.format,
        "product": chosen.product,
        "limit": chosen.limit,
        "offset": chosen.offset,
    }
    if chosen.run_id is None:
        return tuple(_view(row) for row in tx.execute(_LIST_NEWEST, values))
    values |= {"run": chosen.run_id, "superseded": chosen.outcome is Outcome.SUPERSEDED}
    return tuple(_view(row) for row in tx.execute(_LIST_OF_RUN, values))


def get(tx: Transaction, ws: int, creative_id: int, *, run_id: int | None = None) -> CreativeView:
    """One creative as it stands in a run, or in the newest that had it. Raises NotFoundError."""
    values = {"ws": ws, "creative": creative_id}
    if run_id is None:
        row = tx.execute(_GET_NEWEST, values).one_or_none()
    else:
        row = tx.execute(_GET_OF_RUN, {**values, "run": run_id}).one_or_none()
    if row is None:
        of_run = "" if run_id is None else f" in run {run_id}"
        raise NotFoundError(
            f"no creative {creative_id}{of_run}", hint="see `adloom creatives list`"
        )
    return _view(row)


def of_items(tx: Transaction, ws: int, run_item_ids: Sequence[int]) -> dict[int, CreativeView]:
    """Creatives as they stand in run items, by the items' numbers; unknown ones are left out."""
    rows = tx.execute(_OF_ITEMS, {"ws": ws, "items": list(run_item_ids)})
    return {row.item_id: _view(row) for row in rows}


def of_run(
    tx: Transaction, run_id: int, *, outcomes: Sequence[Outcome] = (Outcome.APPROVED,)
) -> Iterator[CreativeView]:
    """A run's creatives of these outcomes, in a fixed order. Streams: consume it within `tx`."""
    statement = _OF_RUN.execution_options(yield_per=_PAGE_ROWS)
    values = {"run": run_id, "outcomes": [o.value for o in outcomes]}
    with tx.execute(statement, values) as rows:
        for row in rows:
            yield _view(row)


def _view(row: Any) -> CreativeView:
    return CreativeView(
        creative_id=row.creative_id,
        run_id=row.run_id,
        run_item_id=row.item_id,
        campaign=row.campaign,
        slot=slot_of(row),
        scene_version=row.scene_version,
        draw=row.draw,
        disposition=Disposition(row.disposition),
        outcome=Outcome(row.outcome),
        product=_product(row),
        render_id=row.render_id,
        fingerprint=row.fingerprint,
        render_state=RenderState(row.render_state),
        spec=RenderSpec.from_json(row.spec),
        render=_render(row),
        finish_hash=row.finish_hash,
        rendition=rendition_of(row),
        scores=row.scores or {},
        reasons=tuple(Reason(**reason) for reason in row.reasons or ()),
        warning=row.warning,
        error_class=row.error_class,
        error_message=row.error_message,
        attempts=row.attempts,
        withdrawn=row.withdrawn,
    )


def _product(row: Any) -> ProductSummary:
    return ProductSummary(
        id=row.product_id,
        source=row.source,
        external_id=row.external_id,
        item_group_id=row.item_group_id,
        title=row.title,
        category=row.category,
        brand=row.brand,
        link=row.link,
        price=price_of(row.price_amount, row.price_currency),
    )


def _render(row: Any) -> StoredRender | None:
    if row.object_key is None or RenderState(row.render_state) is not RenderState.RENDERED:
        return None
    return StoredRender(row.object_key, row.sha256, row.bytes, row.device, row.timings)
