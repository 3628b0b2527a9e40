"""Photos of a source's products: fetched if changed, checked, stored, linked."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from adloom.catalog import PhotoRole
from adloom.cutouts import Photo
from adloom.keys import photo_key
from adloom.records import PhotoProblem, PhotoValidators, ProductPhoto
from catalog_connectors.fanning import Fan, Hosts, Later, Leave, fan_out
from catalog_connectors.photos import (
    PhotoFetcher,
    PhotoLater,
    PhotoLimits,
    PhotoRefusedError,
    host_of,
)
from db.queries import photos
from tasks.behind import behind
from tasks.catalog import SHOWN_PROBLEMS, IntakeProblem, chunks
from tasks.environment import Environment

PAGE = 500
RECORDED_AT_ONCE = 100


@dataclass(slots=True)
class PhotosReport:
    """`new`: contents not seen before; `unchanged`: not even read; `refused`: with a reason."""

    new: int = 0
    unchanged: int = 0
    refused: int = 0
    problems: list[IntakeProblem] = field(default_factory=list[IntakeProblem])


@dataclass(frozen=True, slots=True)
class _Place:
    """The references to one place, which share its photo; its host, and which attempt is next."""

    wanted: tuple[ProductPhoto, ...]
    host: str
    attempt: int = 1

    @property
    def location(self) -> str:
        return self.wanted[0].location


@dataclass(frozen=True, slots=True)
class _Got:
    """A photo that is in the store."""

    photo: Photo
    validator: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What came of one photo reference; all None: it has not changed."""

    wanted: ProductPhoto
    got: _Got | None = None
    problem: PhotoRefusedError | None = None


def fetch_photos(
    env: Environment, source_id: int, *, limits: PhotoLimits | None = None, fan: Fan | None = None
) -> PhotosReport:
    """Fetches the photos of a source's active products, several at a time.

    Each photo goes to the store as it comes, and its row soon after. A photo that cannot be used is
    recorded on its product with a reason; it stops nothing. Raises what the database or the object
    store raise when they are unavailable.
    """
    report, fan, hosts = PhotosReport(), fan or Fan(), Hosts()
    with (
        PhotoFetcher(
            limits or PhotoLimits(),
            allow_private=env.allow_private_addresses,
            connections=fan.overall,
            hosts=hosts,
        ) as fetcher,
        closing(
            fan_out(
                _wanted(env, source_id),
                lambda p, leave: _fetch(env, fetcher, p, leave),
                lambda p: p.host,
                fan,
                hosts,
            )
        ) as found,  # whatever is raised: what is being fetched ends before that
    ):
        pages = chunks(found, RECORDED_AT_ONCE)
        # Postgres takes a page of rows while the next photos are fetched.
        for _ in behind(
            lambda page, _: _record(env, [one for of_place in page for one in of_place], report),
            pages,
            at_once=1,
            name="record-photos",
        ):
            pass
    return report


def _wanted(env: Environment, source_id: int) -> Iterator[_Place]:
    """The references of a page by place and state: what variants share is fetched once."""
    after: tuple[int, str] | None = None
    while True:
        with env.database.transaction() as tx:
            page = photos.to_fetch(tx, env.workspace_id, source_id, after=after, limit=PAGE)
        if not page:
            return
        places: dict[tuple[str, str], list[ProductPhoto]] = {}
        for wanted in page:
            places.setdefault((wanted.location, _known(wanted)), []).append(wanted)
        for (location, _), wanted in places.items():
            yield _Place(tuple(wanted), host_of(location))
        after = (page[-1].product_id, page[-1].location)


def _known(wanted: ProductPhoto) -> str:
    return validator_of(wanted.validators) if wanted.photo_sha256 else ""


def _fetch(
    env: Environment, fetcher: PhotoFetcher, place: _Place, leave: Leave
) -> tuple[_Fetched, ...] | Later[_Place]:
    """Fetches a place and stores its photo; the rows come later. The content is let go here."""
    try:
        got = fetcher.fetch(
            place.location,
            known_validator=_known(place.wanted[0]),
            attempt=place.attempt,
            downloaded=leave,
        )
    except PhotoLater as later:
        return Later(replace(place, attempt=place.attempt + 1), later.after_s)
    except PhotoRefusedError as error:
        return tuple(_Fetched(w, problem=error) for w in place.wanted)
    if got is None:
        return tuple(_Fetched(w) for w in place.wanted)
    env.store.put(
        photo_key(env.workspace, got.photo.sha256), got.content, content_type=got.photo.media_type
    )
    return tuple(_Fetched(w, _Got(got.photo, got.validator, got.notes)) for w in place.wanted)


def _record(env: Environment, results: list[_Fetched], report: PhotosReport) -> None:
    """The rows of a page of results, after its objects: in one transaction."""
    stored: dict[str, Photo] = {r.got.photo.sha256: r.got.photo for r in results if r.got}
    links = [_linked(r.wanted, r.got) for r in results if r.got is not None]
    refused = [(r.wanted, r.problem) for r in results if r.problem is not None]
    with env.database.transaction() as tx:
        report.new += photos.upsert(tx, env.workspace_id, list(stored.values())) if stored else 0
        if links:
            photos.link(tx, links)
        if refused:
            photos.record_problems(tx, [_problem(w, e) for w, e in refused if not _keeps(w, e)])
    report.unchanged += sum(r.got is None and r.problem is None for r in results)
    report.refused += len(refused)
    for wanted, error in refused[: SHOWN_PROBLEMS - len(report.problems)]:
        report.problems.append(
            IntakeProblem(error.where or "", wanted.external_id, error.reason.value, error.message)
        )


def _keeps(wanted: ProductPhoto, error: PhotoRefusedError) -> bool:
    """Whether the photo that is there stays: its server is only out of reach for the moment."""
    return error.retryable and wanted.photo_sha256 is not None


def _linked(wanted: ProductPhoto, got: _Got) -> ProductPhoto:
    return ProductPhoto(
        wanted.product_id,
        wanted.external_id,
        wanted.location,
        PhotoRole(wanted.role),
        wanted.position,
        got.photo.sha256,
        validators_from(got.validator),
        "; ".join(got.notes),
    )


def _problem(wanted: ProductPhoto, error: PhotoRefusedError) -> PhotoProblem:
    detail = error.message + (f"; {error.hint}" if error.hint else "")
    return PhotoProblem(
        wanted.product_id, wanted.external_id, wanted.location, error.reason.value, detail
    )


def validators_from(text: str) -> PhotoValidators:
    """A fetch's validator (`etag:…`, `modified:…`, `file:SIZE-MTIME`) as columns."""
    kind, _, value = text.partition(":")
    match kind:
        case "etag":
            return PhotoValidators(etag=value)
        case "modified":
            return PhotoValidators(last_modified=value)
        case "file":
            size, _, mtime_ns = value.partition("-")
            return PhotoValidators(size=int(size), mtime_ns=int(mtime_ns))
    return PhotoValidators()


def validator_of(columns: PhotoValidators) -> str:
    """The inverse of `validators_from`."""
    if columns.etag is not None:
        return f"etag:{columns.etag}"
    if columns.last_modified is not None:
        return f"modified:{columns.last_modified}"
    if columns.size is not None:
        return f"file:{columns.size}-{columns.mtime_ns}"
    return ""
