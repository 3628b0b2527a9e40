"""Renditions: stored, looked up, still missing, or failed to be made."""

from typing import Any

from sqlalchemy import text

from adloom.finishing_spec import FinishingSpec
from adloom.records import FinishPage, FinishPlace, FinishWork, Lease, Rendition, RunLease
from adloom.render_spec import RenderSpec
from db.engine import Transaction
from db.queries import fences
from db.text import as_json, bounded

FIRST = FinishPlace(0, "")

_PUT = text("""
INSERT INTO rendition (workspace_id, render_id, finish_hash, sha256, object_key, media_type, width,
    height, bytes, details)
VALUES (:ws, :render, :finish_hash, :sha256, :object_key, :media_type, :width, :height, :bytes,
    CAST(:details AS jsonb))
ON CONFLICT (workspace_id, render_id, finish_hash) DO UPDATE SET sha256 = excluded.sha256,
    object_key = excluded.object_key, media_type = excluded.media_type, width = excluded.width,
    height = excluded.height, bytes = excluded.bytes, details = excluded.details,
    created_at = now()
""")

_UNBLOCK = text("""
UPDATE finishing_failure SET blocks = false
WHERE render_id = :render AND finish_hash = :finish_hash AND blocks
""")

COLUMNS = """
d.render_id AS d_render_id, d.finish_hash AS d_finish_hash, d.sha256 AS d_sha256,
d.object_key AS d_object_key, d.media_type AS d_media_type, d.width AS d_width,
d.height AS d_height, d.bytes AS d_bytes, d.details AS d_details
"""

_GET = text(
    f"SELECT {COLUMNS} FROM rendition d WHERE render_id = :render AND finish_hash = :finish_hash"
)

# By the index of open items: a page costs what it holds, wherever it begins.
_OPEN_FINISHINGS = text("""
SELECT DISTINCT i.render_id, i.finish_hash COLLATE "C" AS finish_hash FROM run_item i
WHERE i.run_id = :run AND i.outcome = 'open'
    AND (i.render_id, i.finish_hash COLLATE "C") > (:after_render, :after_finish_hash)
ORDER BY 1, 2 LIMIT :limit
""")

# In the order of references, so that a product's pictures are fetched once.
_UNFINISHED = text(f"""
WITH wanted AS (
    SELECT * FROM unnest(CAST(:renders AS bigint[]), CAST(:finish_hashes AS text[]))
        AS w(render_id, finish_hash)
), state AS (
    SELECT w.*,
        EXISTS (SELECT FROM score s WHERE s.render_id = w.render_id AND s.stage = 'model'
            AND s.finish_hash = 'raw' AND s.revision = :revision) AS model_scored,
        EXISTS (SELECT FROM score s WHERE s.render_id = w.render_id AND s.stage = 'final'
            AND s.finish_hash = w.finish_hash AND s.revision = :revision) AS final_scored
    FROM wanted w
)
SELECT r.id, r.spec, r.object_key, r.sha256, f.spec AS finishing, s.model_scored,
    s.final_scored, {COLUMNS}
FROM state s
JOIN render r ON r.id = s.render_id AND r.state = 'rendered'
JOIN finishing_recipe f ON f.workspace_id = r.workspace_id AND f.finish_hash = s.finish_hash
LEFT JOIN rendition d ON d.workspace_id = r.workspace_id AND d.render_id = s.render_id
    AND d.finish_hash = s.finish_hash
WHERE (d.id IS NULL OR NOT s.model_scored OR NOT s.final_scored)
    AND NOT EXISTS (SELECT FROM finishing_failure x
        WHERE x.render_id = s.render_id AND x.finish_hash = s.finish_hash AND x.blocks)
ORDER BY r.reference, r.id, s.finish_hash
""")

_RECORD_FAILURE = text("""
INSERT INTO finishing_failure AS f (render_id, finish_hash, error_class, error_message,
    error_retryable)
VALUES (:render, :finish_hash, :error_class, :error_message, :retryable)
ON CONFLICT (render_id, finish_hash) DO UPDATE SET error_class = excluded.error_class,
    error_message = excluded.error_message, error_retryable = excluded.error_retryable,
    attempts = f.attempts + 1, blocks = true, updated_at = now()
""")


def put(
    tx: Transaction, ws: int, rendition: Rendition, *, lease: Lease | RunLease | None = None
) -> None:
    """Stores what one finishing made of a render. With a lease, fenced: raises LeaseLostError."""
    if lease is not None:
        fences.hold(tx, lease)
    values = {
        "ws": ws,
        "render": rendition.render_id,
        "finish_hash": rendition.finish_hash,
        "sha256": rendition.sha256,
        "object_key": rendition.object_key,
        "media_type": rendition.media_type,
        "width": rendition.width,
        "height": rendition.height,
        "bytes": rendition.bytes,
        "details": as_json(rendition.details),
    }
    tx.execute(_PUT, values)
    tx.execute(_UNBLOCK, values)


def get(tx: Transaction, render_id: int, finish_hash: str) -> Rendition | None:
    values = {"render": render_id, "finish_hash": finish_hash}
    row = tx.execute(_GET, values).one_or_none()
    return None if row is None else rendition_of(row)


def unfinished(
    tx: Transaction,
    run_id: int,
    *,
    scorer_revision: str,
    after: FinishPlace = FIRST,
    limit: int | None = None,
) -> FinishPage:
    """Finished renders that the run waits for, but that lack a rendition or scores.

    Reused renders under a new finishing, and those whose worker died before it finished them. Looks
    at `limit` open finishings beyond `after`; the page says where the next one begins.
    """
    values = {
        "run": run_id,
        "after_render": after.render_id,
        "after_finish_hash": after.finish_hash,
        "limit": limit,
    }
    places = [FinishPlace(*row) for row in tx.execute(_OPEN_FINISHINGS, values)]
    if not places:
        return FinishPage((), None)
    wanted = {
        "renders": [p.render_id for p in places],
        "finish_hashes": [p.finish_hash for p in places],
        "revision": scorer_revision,
    }
    work = tuple(_work(row) for row in tx.execute(_UNFINISHED, wanted))
    return FinishPage(work, places[-1] if len(places) == limit else None)


def _work(row: Any) -> FinishWork:
    return FinishWork(
        render_id=row.id,
        spec=RenderSpec.from_json(row.spec),
        object_key=row.object_key,
        sha256=row.sha256,
        finishing=FinishingSpec.from_json(row.finishing),
        rendition=rendition_of(row),
        model_scored=row.model_scored,
        final_scored=row.final_scored,
    )


def record_failure(
    tx: Transaction,
    render_id: int,
    finish_hash: str,
    *,
    error_class: str,
    message: str,
    retryable: bool,
    lease: Lease | RunLease | None = None,
) -> None:
    """Records that a finishing failed: items that want it end as failed, until reopened."""
    if lease is not None:
        fences.hold(tx, lease)
    values = {
        "render": render_id,
        "finish_hash": finish_hash,
        "error_class": error_class,
        "error_message": bounded(message),
        "retryable": retryable,
    }
    tx.execute(_RECORD_FAILURE, values)


def rendition_of(row: Any) -> Rendition | None:
    """The rendition among a row's columns, None where an outer join found none."""
    if row.d_sha256 is None:
        return None
    return Rendition(
        render_id=row.d_render_id,
        finish_hash=row.d_finish_hash,
        sha256=row.d_sha256,
        object_key=row.d_object_key,
        media_type=row.d_media_type,
        width=row.d_width,
        height=row.d_height,
        bytes=row.d_bytes,
        details=row.d_details,
    )
