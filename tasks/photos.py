"""Photos of a source's products: fetched if changed, checked, stored, linked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from adloom.catalog import PhotoRole
from adloom.cutouts import Photo
from adloom.keys import photo_key
from adloom.records import PhotoProblem, PhotoValidators, ProductPhoto
from catalog_connectors.photos import FetchedPhoto, PhotoLimits, PhotoRefusedError, fetch_photo
from db.queries import photos
from tasks.catalog import SHOWN_PROBLEMS, IntakeProblem
from tasks.environment import Environment

PAGE = 200
PARALLEL = 8


@dataclass(slots=True)
class PhotosReport:
    """`new`: contents not seen before; `unchanged`: not even read; `refused`: with a reason."""

    new: int = 0
    unchanged: int = 0
    refused: int = 0
    problems: list[IntakeProblem] = field(default_factory=list[IntakeProblem])


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What came of one photo reference; all None: it has not changed."""

    wanted: ProductPhoto
    got: FetchedPhoto | None = None
    problem: PhotoRefusedError | None = None


def fetch_photos(
    env: Environment, source_id: int, *, limits: PhotoLimits | None = None
) -> PhotosReport:
    """Fetches the photos of a source's active products, several at a time.

    A photo that cannot be used is recorded on its product with a reason; it stops nothing. Raises
    what the database or the object store raise when they are unavailable.
    """
    limits = limits or PhotoLimits()
    report = PhotosReport()
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="photos") as pool:
        for page in _pages(env, source_id):
            results = list(pool.map(lambda wanted: _fetch(env, wanted, limits), page))
            _record(env, results, report)
    return report


def _pages(env: Environment, source_id: int) -> Iterator[tuple[ProductPhoto, ...]]:
    after: tuple[int, str] | None = None
    while True:
        with env.database.transaction() as tx:
            page = photos.to_fetch(tx, env.workspace_id, source_id, after=after, limit=PAGE)
        if not page:
            return
        yield page
        after = (page[-1].product_id, page[-1].location)


def _fetch(env: Environment, wanted: ProductPhoto, limits: PhotoLimits) -> _Fetched:
    known = validator_of(wanted.validators) if wanted.photo_sha256 else None
    try:
        got = fetch_photo(
            wanted.location,
            limits=limits,
            allow_private=env.allow_private_addresses,
            known_validator=known,
        )
    except PhotoRefusedError as error:
        return _Fetched(wanted, problem=error)
    if got is not None:
        env.store.put(
            photo_key(env.workspace, got.photo.sha256),
            got.content,
            content_type=got.photo.media_type,
        )
    return _Fetched(wanted, got)


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


def _linked(wanted: ProductPhoto, got: FetchedPhoto) -> ProductPhoto:
    return ProductPhoto(
        wanted.product_id,
        wanted.external_id,
        wanted.location,
        PhotoRole(wanted.role),
        wanted.position,
        got.photo.sha256,
        validators_from(got.validator),
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
