"""Which slots of a plan a run takes: all, the new ones, or those that changed."""

from collections.abc import Sequence

from sqlalchemy import text

from adloom.campaign import CampaignSpec, Refresh
from adloom.planning import PlannedItem
from db.engine import Transaction
from db.text import as_json

# What a slot has is the first draw of the last run that rendered it: each run begins with that one.
# A run in which the slot ended cancelled or failed, whichever draw it was at, gave it nothing.
LAST_RENDERED = """
SELECT i.render_id, i.finish_hash FROM run_item i
JOIN render r ON r.id = i.render_id AND r.state = 'rendered'
WHERE i.creative_id = {creative} AND i.draw = 0 AND NOT EXISTS (
    SELECT FROM run_item e WHERE e.run_id = i.run_id AND e.creative_id = i.creative_id
        AND e.outcome IN ('cancelled', 'failed'))
ORDER BY i.id DESC LIMIT 1
"""

_HAVE = text(f"""
SELECT t.place, r.fingerprint, last.finish_hash
FROM jsonb_to_recordset(CAST(:slots AS jsonb)) AS t(place bigint, product_id bigint,
    photo_role photo_role, scene_slug text, format_slug text, variant bigint)
JOIN campaign k ON k.workspace_id = :ws AND k.slug = :campaign
JOIN creative c ON c.workspace_id = :ws AND c.campaign_id = k.id AND c.product_id = t.product_id
    AND c.photo_role = t.photo_role AND c.scene_slug = t.scene_slug
    AND c.format_slug = t.format_slug AND c.variant = t.variant
JOIN LATERAL ({LAST_RENDERED.format(creative="c.id")}) last ON true
JOIN render r ON r.id = last.render_id
""")


def due(
    tx: Transaction, ws: int, spec: CampaignSpec, items: Sequence[PlannedItem]
) -> tuple[PlannedItem, ...]:
    """Those of a chunk (about 1000) of planned slots that `spec.refresh` takes.

    `new`: slots that were never rendered in this campaign but by runs in which they ended cancelled
    or failed. `changed`: those, and slots whose render or finishing would not be what they have,
    for whatever reason: photo, mask, words of the prompt, scene, sampler, model, canvas, encoding.
    """
    if spec.refresh is Refresh.ALL:
        return tuple(items)
    slots = [
        {
            "place": place,
            "product_id": i.slot.product_id,
            "photo_role": i.slot.photo_role.value,
            "scene_slug": i.slot.scene_slug,
            "format_slug": i.slot.format_slug,
            "variant": i.slot.variant,
        }
        for place, i in enumerate(items)
    ]
    values = {"ws": ws, "campaign": spec.slug, "slots": as_json(slots)}
    have = {r.place: (r.fingerprint, r.finish_hash) for r in tx.execute(_HAVE, values)}
    if spec.refresh is Refresh.NEW:
        return tuple(i for place, i in enumerate(items) if place not in have)
    return tuple(
        i
        for place, i in enumerate(items)
        if have.get(place) != (i.spec.fingerprint, _finish(i, spec))
    )


def _finish(item: PlannedItem, spec: CampaignSpec) -> str:
    return spec.finishing_for(item.slot.format_slug).finish_hash
