"""Catalogue sources and their products, to be looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, select, text

from adloom.catalog import Availability, Delivery, PhotoRole, Price
from adloom.records import PhotoProblem, PhotoValidators, ProductPhoto, ProductView, StoredSource
from db import schema
from db.engine import Transaction
from db.near import not_found
from db.text import as_json

_ADD_SOURCE = text("""
INSERT INTO catalog_source (workspace_id, slug, kind, location, delivery, options)
VALUES (:ws, :slug, :kind, :location, CAST(:delivery AS delivery), CAST(:options AS jsonb))
ON CONFLICT (workspace_id, slug) DO UPDATE SET kind = excluded.kind, location = excluded.location,
    delivery = excluded.delivery,
    options = CASE WHEN :keeps_options AND catalog_source.kind = excluded.kind
        THEN catalog_source.options ELSE excluded.options END,
    cursor = '{}'
""")

_SOURCES = text("""
SELECT s.id, s.slug, s.kind, s.location, s.delivery, s.options, s.cursor,
    (SELECT count(*) FROM product p WHERE p.source_id = s.id AND p.active) AS active_products
FROM catalog_source s WHERE s.workspace_id = :ws ORDER BY s.slug
""")

_NAMES = text("SELECT id, external_id FROM product WHERE id = ANY (CAST(:ids AS bigint[]))")
_SLUGS = text("SELECT slug FROM catalog_source WHERE workspace_id = :ws ORDER BY slug")

_PRODUCT = schema.catalog.Product
_SOURCE = schema.catalog.CatalogSource
_PHOTO = schema.catalog.ProductPhoto
_PROBLEM = schema.catalog.PhotoProblem


def add_source(
    tx: Transaction,
    ws: int,
    *,
    slug: str,
    kind: str,
    location: str,
    delivery: Delivery,
    options: Mapping[str, Any] | None = None,
) -> StoredSource:
    """Adds a source; one of the same slug is replaced and keeps its products.

    `options` None: one of the same slug and kind keeps its options; a new one has none.
    """
    values = {
        "ws": ws,
        "slug": slug,
        "kind": kind,
        "location": location,
        "delivery": delivery.value,
    }
    more = {"options": as_json(options or {}), "keeps_options": options is None}
    tx.execute(_ADD_SOURCE, {**values, **more})
    return get_source(tx, ws, slug)


def list_sources(tx: Transaction, ws: int) -> tuple[StoredSource, ...]:
    return tuple(
        StoredSource(
            r.id,
            r.slug,
            r.kind,
            r.location,
            Delivery(r.delivery),
            r.options,
            r.active_products,
            r.cursor,
        )
        for r in tx.execute(_SOURCES, {"ws": ws})
    )


def source_slugs(tx: Transaction, ws: int) -> tuple[str, ...]:
    """The names of all sources, in order."""
    return tuple(tx.execute(_SLUGS, {"ws": ws}).scalars())


def get_source(tx: Transaction, ws: int, slug: str) -> StoredSource:
    """Raises NotFoundError with near matches."""
    sources = {s.slug: s for s in list_sources(tx, ws)}
    if slug not in sources:
        raise not_found("catalogue source", [slug], sources)
    return sources[slug]


def products(
    tx: Transaction,
    ws: int,
    *,
    source: str | None = None,
    with_problems_only: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[ProductView, ...]:
    """Products with photos and problems, by source and external id; inactive ones included."""
    conditions: list[ColumnElement[bool]] = []
    if source is not None:
        conditions.append(_SOURCE.slug == source)
    if with_problems_only:
        conditions.append(exists().where(_PROBLEM.product_id == _PRODUCT.id))
    return _views(tx, ws, conditions, limit=limit, offset=offset)


def product(
    tx: Transaction, ws: int, external_id: str, *, source: str | None = None
) -> ProductView:
    """One product; without `source`, the first source that has it. Raises NotFoundError."""
    conditions: list[ColumnElement[bool]] = [_PRODUCT.external_id == external_id]
    if source is not None:
        conditions.append(_SOURCE.slug == source)
    found = _views(tx, ws, conditions, limit=1)
    if not found:
        similar = select(_PRODUCT.external_id).where(_PRODUCT.workspace_id == ws).limit(5000)
        raise not_found("product", [external_id], tx.scalars(similar))
    return found[0]


def _views(
    tx: Transaction,
    ws: int,
    conditions: Sequence[ColumnElement[bool]],
    *,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[ProductView, ...]:
    rows = tx.execute(
        select(_PRODUCT, _SOURCE.slug)
        .join(_SOURCE, _SOURCE.id == _PRODUCT.source_id)
        .where(_PRODUCT.workspace_id == ws, *conditions)
        .order_by(_SOURCE.slug, _PRODUCT.external_id)
        .limit(limit)
        .offset(offset)
    ).all()
    names = {p.id: p.external_id for p, _ in rows}
    photos = _photos_of(tx, names)
    problems = _problems_of(tx, names)
    return tuple(
        ProductView(
            id=p.id,
            source=source,
            external_id=p.external_id,
            title=p.title,
            category=p.category,
            brand=p.brand,
            availability=Availability(p.availability),
            price=price_of(p.price_amount, p.price_currency),
            sale_price=price_of(p.sale_price_amount, p.sale_price_currency),
            item_group_id=p.item_group_id,
            attributes=p.attributes,
            link=p.link,
            active=p.active,
            photos=tuple(photos.get(p.id, ())),
            problems=tuple(problems.get(p.id, ())),
        )
        for p, source in rows
    )


def external_ids(tx: Transaction, product_ids: Sequence[int]) -> dict[int, str]:
    """The catalogue's own names of products."""
    return {r.id: r.external_id for r in tx.execute(_NAMES, {"ids": list(product_ids)})}


def price_of(amount: Any, currency: str | None) -> Price | None:
    return None if amount is None or currency is None else Price(amount, currency)


def _photos_of(tx: Transaction, names: Mapping[int, str]) -> dict[int, list[ProductPhoto]]:
    found: dict[int, list[ProductPhoto]] = {}
    query = select(_PHOTO).where(_PHOTO.product_id.in_(names))
    for p in tx.scalars(query.order_by(_PHOTO.position)):
        found.setdefault(p.product_id, []).append(
            ProductPhoto(
                p.product_id,
                names[p.product_id],
                p.location,
                PhotoRole(p.role),
                p.position,
                p.photo_sha256,
                PhotoValidators(p.etag, p.last_modified, p.size, p.mtime_ns),
                p.note,
            )
        )
    return found


def _problems_of(tx: Transaction, names: Mapping[int, str]) -> dict[int, list[PhotoProblem]]:
    found: dict[int, list[PhotoProblem]] = {}
    query = select(_PROBLEM).where(_PROBLEM.product_id.in_(names))
    for p in tx.scalars(query.order_by(_PROBLEM.location)):
        found.setdefault(p.product_id, []).append(
            PhotoProblem(p.product_id, names[p.product_id], p.location, p.reason, p.detail)
        )
    return found
