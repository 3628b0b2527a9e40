"""Catalogue in: rows, photos, masks."""

from dataclasses import dataclass, replace

from prefect import flow, get_run_logger

from adloom.catalog import SyncCounts
from adloom.errors import AdloomError
from tasks import steps
from tasks.catalog import IntakeProblem, finish_sync, source_slugs
from tasks.environment import current
from tasks.one_by_one import one_by_one
from tasks.patience import in_thread


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did; `problems` are the first of what was refused."""

    source: str
    counts: SyncCounts
    cutouts: int
    cutouts_doubtful: int
    cutouts_failed: int
    problems: tuple[IntakeProblem, ...]
    unchanged: bool = False


@flow(name="sync-catalog", flow_run_name="sync-{source}")
async def sync_catalog(
    source: str | None = None, allow_shrink: bool = False
) -> tuple[SyncReport, ...]:
    """Reads a source's rows, fetches changed photos, extracts missing masks; without a `source` one
    source after the other, of which one that fails stops no other."""
    if source is not None:
        return (await _sync(source, allow_shrink),)
    sources = await in_thread(source_slugs, current())
    return await one_by_one(sources, lambda one: _sync(one, allow_shrink), get_run_logger().warning)


async def _sync(source: str, allow_shrink: bool) -> SyncReport:
    rows = await steps.read_rows(source, allow_shrink)
    try:
        photos = await steps.fetch_photos(source)
    except AdloomError as error:
        finish_sync(current(), rows.sync_id, rows.counts, error=error)
        raise
    counts = replace(rows.counts, photos_new=photos.new, photos_rejected=photos.refused)
    finish_sync(current(), rows.sync_id, counts)
    masks = await steps.extract_cutouts()
    return SyncReport(
        source,
        counts,
        masks.extracted,
        masks.doubtful,
        masks.failed,
        (*rows.problems, *photos.problems),
        rows.unchanged,
    )
