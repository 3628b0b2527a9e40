"""Products as pages list and show them, and what a new mask would make anew."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from adloom.cutouts import Cutout
from adloom.errors import NotFoundError
from adloom.records import MaskVersion, ProductView
from adloom.states import Outcome
from db.engine import Transaction
from db.queries import catalog, cutouts

MAX_WORDS = 8

_ROW = """
SELECT p.id, s.slug AS source, p.external_id, p.title, p.category, p.active,
    CAST(p.availability AS text) AS availability,
    (SELECT pp.photo_sha256 FROM product_photo pp WHERE pp.product_id = p.id
        AND pp.photo_sha256 IS NOT NULL
        ORDER BY pp.role, pp.position, pp.location LIMIT 1) AS photo_sha256,
    (SELECT count(*) FROM photo_problem q WHERE q.product_id = p.id) AS problems
FROM {found} JOIN catalog_source s ON s.id = p.source_id
WHERE p.workspace_id = :ws AND p.id > :after
    AND (CAST(:source AS text) IS NULL OR s.slug = :source)
    AND (NOT :with_problems OR EXISTS (SELECT FROM photo_problem q WHERE q.product_id = p.id))
ORDER BY p.id LIMIT :limit
"""

_PAGE = text(_ROW.format(found="product p"))

# By words of title and brand, or by the beginning of the id: each has an index of its own.
_FOUND = text(
    _ROW.format(
        found="""(
    SELECT id FROM product WHERE to_tsvector('simple', title || ' ' || brand)
            @@ to_tsquery('simple', :words)
        AND workspace_id = :ws AND CAST(:words AS text) <> ''
    UNION
    SELECT id FROM product WHERE workspace_id = :ws AND external_id LIKE :prefix
) AS f JOIN product p ON p.id = f.id"""
    )
)

_BY_ID = text("""
SELECT p.external_id, s.slug AS source FROM product p JOIN catalog_source s ON s.id = p.source_id
WHERE p.workspace_id = :ws AND p.id = :product
""")

_CREATIVES = text("""
SELECT c.id AS creative_id, k.slug AS campaign, c.scene_slug, c.format_slug, c.variant,
    CAST(i.outcome AS text) AS outcome, i.run_id, d.object_key, c.recall_id IS NOT NULL AS recalled
FROM creative c
JOIN campaign k ON k.id = c.campaign_id
LEFT JOIN LATERAL (SELECT n.outcome, n.run_id, n.render_id, n.finish_hash FROM run_item n
    WHERE n.creative_id = c.id AND n.outcome <> 'superseded' ORDER BY n.id DESC LIMIT 1) i ON true
LEFT JOIN rendition d ON d.workspace_id = :ws AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
WHERE c.product_id = :product AND c.id > :after ORDER BY c.id LIMIT :limit
""")

_EXAMPLES = text("""
SELECT c.id AS creative_id, k.slug AS campaign, c.scene_slug, c.format_slug, c.variant,
    CAST(i.outcome AS text) AS outcome, i.run_id, d.object_key, c.recall_id IS NOT NULL AS recalled
FROM creative c
JOIN campaign k ON k.id = c.campaign_id
LEFT JOIN LATERAL (SELECT n.outcome, n.run_id, n.render_id, n.finish_hash FROM run_item n
    WHERE n.creative_id = c.id AND n.outcome <> 'superseded'
        AND (CAST(:run AS bigint) IS NULL OR n.run_id = :run) ORDER BY n.id DESC LIMIT 1) i ON true
LEFT JOIN rendition d ON d.workspace_id = :ws AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
WHERE c.workspace_id = :ws AND c.id = ANY (CAST(:creatives AS bigint[]))
""")

# Every slot whose last plan shows this photo in this mask: the next run makes its render anew.
_INVALIDATED = text("""
SELECT k.slug AS campaign, count(DISTINCT r.id) AS renders, count(DISTINCT c.id) AS creatives,
    count(DISTINCT c.id) FILTER (WHERE c.current_render_id IS NOT NULL) AS approved
FROM (SELECT DISTINCT product_id FROM product_photo
    WHERE workspace_id = :ws AND photo_sha256 = :photo) pp
JOIN creative c ON c.product_id = pp.product_id
JOIN campaign k ON k.id = c.campaign_id
JOIN render r ON r.id = coalesce(c.planned_render_id, c.current_render_id)
WHERE c.workspace_id = :ws AND r.state = 'rendered' AND c.recall_id IS NULL
    AND starts_with(r.reference, :photo)
GROUP BY 1 ORDER BY 1
""")

_PHOTO = text("SELECT width, height FROM photo WHERE workspace_id = :ws AND sha256 = :photo")

_PRODUCTS_OF_PHOTO = text("""
SELECT count(DISTINCT product_id) FROM product_photo
WHERE workspace_id = :ws AND photo_sha256 = :photo
""")


@dataclass(frozen=True, slots=True)
class ProductLine:
    id: int
    source: str
    external_id: str
    title: str
    category: str
    active: bool
    availability: str
    photo_sha256: str | None
    problems: int


@dataclass(frozen=True, slots=True)
class CreativeTile:
    """A creative as its newest run left it; `object_key` None: it has no finished image."""

    creative_id: int
    campaign: str
    scene: str
    format: str
    variant: int
    outcome: Outcome | None
    run_id: int | None
    object_key: str | None
    recalled: bool


@dataclass(frozen=True, slots=True)
class MaskedPhoto:
    """A photo with the mask in use and those that people gave it."""

    sha256: str
    width: int
    height: int
    products: int
    current: Cutout | None
    versions: tuple[MaskVersion, ...]


@dataclass(frozen=True, slots=True)
class Invalidated:
    """What of a campaign a new mask of a photo makes anew at its next run."""

    campaign: str
    renders: int
    creatives: int
    approved: int


def page(
    tx: Transaction,
    ws: int,
    *,
    search: str = "",
    source: str | None = None,
    with_problems: bool = False,
    after: int = 0,
    limit: int = 50,
) -> tuple[ProductLine, ...]:
    """Products by number, those beyond `after`.

    `search`: the beginning of an id, or words that title and brand hold, each at least begun.
    """
    values: dict[str, Any] = {
        "ws": ws,
        "source": source,
        "with_problems": with_problems,
        "after": after,
        "limit": limit,
    }
    if not search.strip():
        return tuple(ProductLine(*r) for r in tx.execute(_PAGE, values))
    values |= {"words": _begun_words(search), "prefix": _prefix(search)}
    return tuple(ProductLine(*r) for r in tx.execute(_FOUND, values))


def product(tx: Transaction, ws: int, product_id: int) -> ProductView:
    """Raises NotFoundError."""
    found = tx.execute(_BY_ID, {"ws": ws, "product": product_id}).one_or_none()
    if found is None:
        raise NotFoundError(f"no product {product_id}", hint="search the catalogue")
    return catalog.product(tx, ws, found.external_id, source=found.source)


def creatives_of(
    tx: Transaction, ws: int, product_id: int, *, after: int = 0, limit: int = 60
) -> tuple[CreativeTile, ...]:
    values = {"ws": ws, "product": product_id, "after": after, "limit": limit}
    return tuple(_tile(r) for r in tx.execute(_CREATIVES, values))


def tiles(
    tx: Transaction, ws: int, creatives: Sequence[int], *, run_id: int | None = None
) -> dict[int, CreativeTile]:
    """Some creatives by number, as they stand in a run or in the newest that had them."""
    values = {"ws": ws, "creatives": list(creatives), "run": run_id}
    return {r.creative_id: _tile(r) for r in tx.execute(_EXAMPLES, values)}


def photo(tx: Transaction, ws: int, sha256: str) -> MaskedPhoto:
    """Raises NotFoundError."""
    values = {"ws": ws, "photo": sha256}
    size = tx.execute(_PHOTO, values).one_or_none()
    if size is None:
        raise NotFoundError(f"no photo {sha256[:12]}", hint="see the product's page")
    return MaskedPhoto(
        sha256,
        size.width,
        size.height,
        tx.execute(_PRODUCTS_OF_PHOTO, values).scalar_one(),
        cutouts.current(tx, ws, sha256),
        cutouts.manual_versions(tx, ws, sha256),
    )


def invalidated(tx: Transaction, ws: int, photo_sha256: str) -> tuple[Invalidated, ...]:
    """What another mask of the photo would make anew, by campaign; a run of `refresh: new` leaves
    it as it is."""
    rows = tx.execute(_INVALIDATED, {"ws": ws, "photo": photo_sha256})
    return tuple(Invalidated(r.campaign, r.renders, r.creatives, r.approved) for r in rows)


def _begun_words(search: str) -> str:
    """`red cup` -> `'red':* & 'cup':*`; empty where nothing is a word."""
    words = re.findall(r"\w+", search.lower())[:MAX_WORDS]
    return " & ".join(f"'{word}':*" for word in words)


def _prefix(search: str) -> str:
    plain = search.strip().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"{plain}%"


def _tile(r: Any) -> CreativeTile:
    return CreativeTile(
        r.creative_id,
        r.campaign,
        r.scene_slug,
        r.format_slug,
        r.variant,
        None if r.outcome is None else Outcome(r.outcome),
        r.run_id,
        r.object_key,
        r.recalled,
    )


__all__ = [
    "CreativeTile",
    "Invalidated",
    "MaskedPhoto",
    "ProductLine",
    "creatives_of",
    "invalidated",
    "page",
    "photo",
    "product",
    "tiles",
]
