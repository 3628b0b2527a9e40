"""The products that a campaign selects: those to plan, and those that cannot be planned."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from adloom.campaign import BEST_PHOTO, MAIN_PHOTO, CampaignSpec
from adloom.catalog import PhotoRole
from adloom.geometry import Size
from adloom.planning import PlannableProduct, SkippedProduct
from db.engine import Transaction

# Category words as `SceneTemplate.suits` takes them: a given category must occur in the path as
# whole words, in a row. Both sides are brought to the form ' word word '.
_WORDS = r"' ' || trim(regexp_replace(lower({}), '[^\w-]+', ' ', 'g')) || ' '"

_SELECTED = f"""
selected AS MATERIALIZED (
    SELECT p.* FROM product p JOIN catalog_source s ON s.id = p.source_id
    WHERE p.workspace_id = :ws AND p.active
        AND (CAST(:sources AS text[]) IS NULL OR s.slug = ANY (:sources))
        AND (CAST(:brands AS text[]) IS NULL OR lower(p.brand) = ANY (:brands))
        AND (CAST(:external_ids AS text[]) IS NULL OR p.external_id = ANY (:external_ids))
        AND (NOT :in_stock_only OR p.availability = 'in_stock')
        AND (CAST(:categories AS text[]) IS NULL OR EXISTS (
            SELECT FROM unnest(CAST(:categories AS text[])) AS c
            WHERE strpos({_WORDS.format("p.category")}, {_WORDS.format("c")}) > 0))
    ORDER BY p.id LIMIT :limit
)"""

# One photo stands for each role: the first by position that could be fetched.
_CHOSEN = f"""
WITH {_SELECTED}, chosen AS (
    SELECT DISTINCT ON (p.id, pp.role) p.id, p.external_id, p.title, p.category, p.brand,
        p.workspace_id, pp.role, pp.photo_sha256
    FROM selected p JOIN product_photo pp ON pp.product_id = p.id
    WHERE pp.photo_sha256 IS NOT NULL AND pp.role = ANY (CAST(:roles AS photo_role[]))
    ORDER BY p.id, pp.role, pp.position, pp.location
)"""

# The one photo of all roles that suits ads best stands for the main one; unscored ones come last.
_BEST = f"""
WITH {_SELECTED}, chosen AS (
    SELECT DISTINCT ON (p.id) p.id, p.external_id, p.title, p.category, p.brand,
        p.workspace_id, CAST('main' AS photo_role) AS role, pp.photo_sha256
    FROM selected p JOIN product_photo pp ON pp.product_id = p.id
    JOIN cutout k ON k.workspace_id = p.workspace_id AND k.photo_sha256 = pp.photo_sha256
        AND k.is_current
    LEFT JOIN photo_quality q ON q.workspace_id = p.workspace_id
        AND q.photo_sha256 = pp.photo_sha256 AND q.mask_sha256 = k.mask_sha256
    ORDER BY p.id, q.score DESC NULLS LAST, pp.role, pp.position, pp.location
)"""

_FROM_CHOSEN = """
SELECT h.id, h.external_id, h.title, h.category, h.brand, h.photo_sha256, h.role, c.mask_sha256,
    c.confidence, c.bbox_width, c.bbox_height, c.colours
FROM chosen h
JOIN cutout c ON c.workspace_id = h.workspace_id AND c.photo_sha256 = h.photo_sha256
    AND c.is_current
ORDER BY h.id, h.role
"""
_PLANNABLE = {
    MAIN_PHOTO: text(_CHOSEN + _FROM_CHOSEN),
    BEST_PHOTO: text(_BEST + _FROM_CHOSEN),
}

_UNPLANNABLE = text(f"""
WITH {_SELECTED}, roles AS (SELECT unnest(CAST(:roles AS photo_role[])) AS role),
refs AS (
    SELECT p.id, p.external_id, r.role, pp.location, pp.photo_sha256, pr.reason, pr.detail,
        row_number() OVER (PARTITION BY p.id, r.role ORDER BY (pp.photo_sha256 IS NULL),
            (:any_role AND NOT EXISTS (SELECT FROM cutout k WHERE k.workspace_id = :ws
                AND k.photo_sha256 = pp.photo_sha256 AND k.is_current)),
            (pr.reason IS NULL), pp.position, pp.location) AS rank
    FROM selected p CROSS JOIN roles r
    LEFT JOIN product_photo pp ON pp.product_id = p.id
        AND (:any_role OR pp.role = r.role)
    LEFT JOIN photo_problem pr ON pr.product_id = pp.product_id AND pr.location = pp.location
)
SELECT f.id, f.external_id, f.role,
    CASE WHEN f.location IS NULL THEN 'NO_PHOTO'
        WHEN f.photo_sha256 IS NULL AND f.reason IS NOT NULL THEN 'PHOTO_PROBLEM'
        WHEN f.photo_sha256 IS NULL THEN 'PHOTO_NOT_FETCHED'
        WHEN cp.reason IS NOT NULL THEN 'CUTOUT_PROBLEM'
        ELSE 'CUTOUT_MISSING' END AS reason,
    coalesce(f.reason || ': ' || f.detail, cp.reason || ': ' || cp.detail) AS detail
FROM refs f
LEFT JOIN cutout c ON c.workspace_id = :ws AND c.photo_sha256 = f.photo_sha256 AND c.is_current
LEFT JOIN LATERAL (
    SELECT reason, detail FROM cutout_problem q
    WHERE q.workspace_id = :ws AND q.photo_sha256 = f.photo_sha256
    ORDER BY q.created_at DESC LIMIT 1) cp ON true
WHERE f.rank = 1 AND c.id IS NULL
ORDER BY f.id, f.role
""")

_MENDS = {
    "NO_PHOTO": "the catalogue names no photo of this role",
    "PHOTO_PROBLEM": "the photo cannot be used",
    "PHOTO_NOT_FETCHED": "the photo was not fetched yet; sync the catalogue",
    "CUTOUT_PROBLEM": "the photo shows no product that could be cut out; give a mask file",
    "CUTOUT_MISSING": "the photo has no mask yet; extract cutouts",
}

_PAGE_ROWS = 500


def plannable(tx: Transaction, ws: int, spec: CampaignSpec) -> Iterator[PlannableProduct]:
    """The selected products with photo and cutout, one per photo role, in a fixed order.

    Where the campaign asks for the best photo, one per product.

    Streams: consume it within the transaction. Which of their slots a run takes (`spec.refresh`) is
    asked of the plan: `refreshing.due`.
    """
    statement = _PLANNABLE[spec.selection.photo].execution_options(yield_per=_PAGE_ROWS)
    with tx.execute(statement, _parameters(ws, spec)) as rows:
        for r in rows:
            yield PlannableProduct(
                product_id=r.id,
                external_id=r.external_id,
                title=r.title,
                category=r.category,
                brand=r.brand,
                photo_sha256=r.photo_sha256,
                photo_role=PhotoRole(r.role),
                mask_sha256=r.mask_sha256,
                mask_confidence=r.confidence,
                bbox_size=Size(round(r.bbox_width), round(r.bbox_height)),
                colours=tuple(r.colours),
            )


def unplannable(tx: Transaction, ws: int, spec: CampaignSpec) -> Iterator[SkippedProduct]:
    """The selected products that lack a photo or cutout in a role, and why. Streams."""
    statement = _UNPLANNABLE.execution_options(yield_per=_PAGE_ROWS)
    with tx.execute(statement, _parameters(ws, spec)) as rows:
        for r in rows:
            detail = r.detail or _MENDS[r.reason]
            yield SkippedProduct(r.id, r.external_id, r.reason, f"{r.role}: {detail}")


def _parameters(ws: int, spec: CampaignSpec) -> dict[str, Any]:
    chosen = spec.selection

    def listed(names: tuple[str, ...]) -> list[str] | None:
        return list(names) or None

    return {
        "ws": ws,
        "sources": listed(chosen.sources),
        "categories": listed(chosen.categories),
        "brands": listed(tuple(b.lower() for b in chosen.brands)),
        "external_ids": listed(chosen.external_ids),
        "in_stock_only": chosen.in_stock_only,
        "limit": chosen.limit,
        "roles": list(chosen.photo_roles),
        "any_role": chosen.photo == BEST_PHOTO,
    }
