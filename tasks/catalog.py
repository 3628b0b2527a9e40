"""Catalogue sources: added, synced, shown."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from adloom.catalog import Blob, Delivery, SyncCounts
from adloom.errors import AdloomError, InvalidInputError
from adloom.records import PhotoSharing, ProductView, StoredSource, UpsertCounts
from catalog_connectors import open_source, shown_location
from catalog_connectors.memory import share_heap
from db.queries import catalog, cutouts, syncs, variants
from storage import open_blob
from tasks.catalog_chunks import ChunkWriter, stored
from tasks.environment import Environment
from tasks.paths import user_file

__all__ = [
    "CHUNK",
    "SHOWN_PROBLEMS",
    "IntakeProblem",
    "ProductLine",
    "RowsReport",
    "add_source",
    "chunks",
    "finish_sync",
    "read_rows",
    "require_source",
    "show_products",
    "shown_location",
]

CHUNK = 4000
SHOWN_PROBLEMS = 50

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class IntakeProblem:
    """Something that was refused on the way in, and why."""

    where: str
    external_id: str | None
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class RowsReport:
    """What reading the rows of a source did."""

    sync_id: int
    counts: SyncCounts
    problems: tuple[IntakeProblem, ...] = ()
    unchanged: bool = False
    """Whether the source said that it is as it was; then no row was read."""


@dataclass(frozen=True, slots=True)
class ProductLine:
    """One product as `catalog show` lists it."""

    external_id: str
    title: str
    category: str
    active: bool
    photos: int
    mask: str
    problems: tuple[str, ...] = field(default=())
    item_group_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    shared_photo: PhotoSharing | None = None
    """Variants of the same item that show the same main photo, this one among them."""


def add_source(
    env: Environment,
    slug: str,
    kind: str,
    location: str,
    *,
    delta: bool = False,
    options: Mapping[str, str] | None = None,
) -> StoredSource:
    """Stores a source under its name; the same name again replaces it, to be read anew.

    `options` are the connector's own; None: those that the source has, if it is of the same kind.
    Raises InvalidInputError for a name, location or option that cannot be used, naming the options
    there are, and for a password in the location: it would be stored.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
        raise InvalidInputError(
            f"'{slug}' is no name for a source", hint="use a-z, 0-9 and single hyphens"
        )
    if "://" not in location and not location.startswith("${"):
        location = str(user_file(location))
    if "delivery" in (options or {}):
        raise InvalidInputError(
            "how a source delivers is not given as an option",
            hint="add --delta if it holds changes only",
        )
    delivery = Delivery.DELTA if delta else Delivery.SNAPSHOT
    blob = _blob(env, location)
    with env.database.transaction() as tx:
        before = {s.slug: s for s in catalog.list_sources(tx, env.workspace_id)}.get(slug)
    kept = before.options if options is None and before and before.kind == kind else {}
    open_source(
        kind,
        location,
        allow_private=env.allow_private_addresses,
        options={**(kept if options is None else options), "delivery": delivery.value},
        blob=blob,
    )
    with env.database.transaction() as tx:
        if before is not None:
            syncs.interrupt(tx, before.id, "the source was added anew before this sync ended")
        return catalog.add_source(
            tx,
            env.workspace_id,
            slug=slug,
            kind=kind,
            location=location,
            delivery=delivery,
            options=options,
        )


def _blob(env: Environment, location: str) -> Blob | None:
    """The file at an s3:// address, which only the object store's own client may open."""
    if not location.lower().startswith("s3://"):
        return None
    return open_blob(location, endpoint=env.s3_endpoint)


def read_rows(env: Environment, slug: str, *, allow_shrink: bool = False) -> RowsReport:
    """Streams a source into products, chunk by chunk; only a complete snapshot deactivates.

    Raises NotFoundError for an unknown source, FeedError for an unreadable one,
    ShrinkRefusedError where too many products would vanish; the sync's row keeps the error.
    """
    share_heap()  # of the photos that come after the rows; before there are threads
    with env.database.transaction() as tx:
        syncs.hold(tx, catalog.get_source(tx, env.workspace_id, slug).id)
        source = catalog.get_source(tx, env.workspace_id, slug)
        sync_id = syncs.begin(tx, env.workspace_id, source.id)
    counts, unnamed = SyncCounts(), 0
    problems: list[IntakeProblem] = []
    try:
        opened = open_source(
            source.kind,
            source.location,
            allow_private=env.allow_private_addresses,
            options={**source.options, "delivery": source.delivery.value},
            blob=_blob(env, source.location),
            cursor=source.cursor,
        )
        writer = ChunkWriter(env, sync_id, forgets_cursor=source.kind == "feed")
        for done, rejected in stored(writer, chunks(opened.records(), CHUNK)):
            counts = _with_chunk(counts, done, len(rejected))
            unnamed += sum(not row.names_product for row in rejected)
            for row in rejected[: SHOWN_PROBLEMS - len(problems)]:
                where = f"line {row.line}"
                problems.append(IntakeProblem(where, row.external_id, row.reason, row.detail))
        ending, gone, kept = opened.ending, 0, 0
        with env.database.transaction() as tx:
            if opened.delivery is Delivery.SNAPSHOT and not ending.unchanged:
                gone = syncs.deactivate_missing(
                    tx,
                    sync_id,
                    allow_shrink=allow_shrink,
                    complete=ending.certain,
                    unnamed=unnamed,
                )
                kept = syncs.count_missing(tx, sync_id) if unnamed else 0
            # What was kept is to be decided by the next sync, which must read the rows for it.
            syncs.keep_cursor(tx, sync_id, {} if kept else ending.cursor)
        if kept:
            problems.insert(0, _kept(kept, unnamed))
        counts = replace(counts, deactivated=gone)
    except AdloomError as error:
        with env.database.transaction() as tx:
            syncs.finish(tx, sync_id, counts, error=error)
        raise
    return RowsReport(sync_id, counts, tuple(problems), ending.unchanged)


def _with_chunk(counts: SyncCounts, done: UpsertCounts, rejected: int) -> SyncCounts:
    return replace(
        counts,
        rows=counts.rows + done.added + done.changed + done.unchanged + rejected,
        added=counts.added + done.added,
        changed=counts.changed + done.changed,
        unchanged=counts.unchanged + done.unchanged,
        rejected=counts.rejected + rejected,
    )


def _kept(products: int, rows: int) -> IntakeProblem:
    return IntakeProblem(
        "the snapshot",
        None,
        "UNNAMED_ROWS",
        f"{products} products that it does not name stay as they were: {rows} refused rows have no "
        "id that can be read, and may be theirs; mend these rows, or pass --allow-shrink",
    )


def finish_sync(
    env: Environment, sync_id: int, counts: SyncCounts, *, error: AdloomError | None = None
) -> None:
    """Writes a sync's final counts, photos included, or why it broke off."""
    with env.database.transaction() as tx:
        syncs.finish(tx, sync_id, counts, error=error)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of at most `size` items, in order, none of them empty."""
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def show_products(
    env: Environment, slug: str, *, limit: int, only_problems: bool = False
) -> tuple[ProductLine, ...]:
    """The products of a source with photos, mask and problems."""
    with env.database.transaction() as tx:
        catalog.get_source(tx, env.workspace_id, slug)
        found = catalog.products(
            tx, env.workspace_id, source=slug, with_problems_only=only_problems, limit=limit
        )
        masks = {
            p.photo_sha256: cutouts.current(tx, env.workspace_id, p.photo_sha256)
            for view in found
            for p in view.photos[:1]
            if p.photo_sha256 is not None
        }
        sharing = variants.photo_sharing(tx, [view.id for view in found])

    def line(view: ProductView) -> ProductLine:
        main = view.photos[0].photo_sha256 if view.photos else None
        mask = masks.get(main) if main else None
        return ProductLine(
            view.external_id,
            view.title,
            view.category,
            view.active,
            sum(p.photo_sha256 is not None for p in view.photos),
            f"{mask.origin} {mask.confidence:.2f}" if mask else "none",
            (
                *(f"{p.reason}: {p.detail}" for p in view.problems),
                *(p.note for p in view.photos if p.note),
            ),
            view.item_group_id,
            view.attributes,
            sharing.get(view.id),
        )

    return tuple(line(view) for view in found)


def source_slugs(env: Environment) -> tuple[str, ...]:
    """The names of the workspace's sources."""
    with env.database.transaction() as tx:
        return catalog.source_slugs(tx, env.workspace_id)


def require_source(env: Environment, slug: str) -> StoredSource:
    """The source, or NotFoundError naming near matches."""
    with env.database.transaction() as tx:
        return catalog.get_source(tx, env.workspace_id, slug)
