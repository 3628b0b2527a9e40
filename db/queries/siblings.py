"""Other pictures of the same product in the same scene, to be looked at side by side."""

from collections.abc import Sequence

from sqlalchemy import text

from adloom.records import Sibling
from adloom.states import Outcome
from db.engine import Transaction

# At most six items of each slot are looked at: what older runs made is not compared.
_SIBLINGS = text("""
SELECT c.id AS of_creative, s.* FROM creative c CROSS JOIN LATERAL (
    SELECT DISTINCT ON (o.format_slug, o.variant, o.id, n.draw)
        o.id AS creative_id, n.id AS item_id, o.format_slug, o.variant, n.draw, n.outcome, d.sha256
    FROM creative o CROSS JOIN LATERAL (
        SELECT i.* FROM run_item i WHERE i.creative_id = o.id ORDER BY i.id DESC LIMIT 6
    ) n
    LEFT JOIN rendition d ON d.workspace_id = n.workspace_id AND d.render_id = n.render_id
        AND d.finish_hash = n.finish_hash
    WHERE o.workspace_id = c.workspace_id AND o.campaign_id = c.campaign_id
        AND o.product_id = c.product_id AND o.photo_role = c.photo_role
        AND o.scene_slug = c.scene_slug
    ORDER BY o.format_slug, o.variant, o.id, n.draw, n.id DESC
    LIMIT :each
) s
WHERE c.workspace_id = :ws AND c.id = ANY (CAST(:creatives AS bigint[]))
""")


def of_creatives(
    tx: Transaction, ws: int, creatives: Sequence[int], *, each: int = 24
) -> dict[int, tuple[Sibling, ...]]:
    """Draws, formats and variants by creative, the creative's own among them, at most `each`."""
    found: dict[int, list[Sibling]] = {creative: [] for creative in creatives}
    rows = tx.execute(_SIBLINGS, {"ws": ws, "creatives": list(creatives), "each": each})
    for r in rows:
        found[r.of_creative].append(
            Sibling(
                r.of_creative,
                r.creative_id,
                r.item_id,
                r.format_slug,
                r.variant,
                r.draw,
                Outcome(r.outcome),
                r.sha256,
            )
        )
    return {creative: tuple(siblings) for creative, siblings in found.items()}
