"""Photos: what to fetch, what was fetched, what is wrong with it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from adloom.catalog import PhotoRole
from adloom.cutouts import Photo
from adloom.errors import NotFoundError
from adloom.records import PhotoProblem, PhotoValidators, ProductPhoto
from db.engine import Transaction
from db.text import as_json, bounded, storable

_TO_FETCH = text("""
SELECT pp.product_id, p.external_id, pp.location, pp.role, pp.position, pp.photo_sha256, pp.etag,
    pp.last_modified, pp.size, pp.mtime_ns
FROM product_photo pp JOIN product p ON p.id = pp.product_id
WHERE p.workspace_id = :ws AND p.source_id = :source AND p.active
    AND (pp.product_id, pp.location) > (:after_id, :after_location)
ORDER BY pp.product_id, pp.location
LIMIT :limit
""")

_UPSERT = text("""
INSERT INTO photo (workspace_id, sha256, width, height, bytes, media_type)
SELECT :ws, t.sha256, t.width, t.height, t.bytes, t.media_type
FROM jsonb_to_recordset(CAST(:photos AS jsonb))
    AS t(sha256 text, width bigint, height bigint, bytes bigint, media_type text)
ORDER BY t.sha256
ON CONFLICT DO NOTHING
RETURNING sha256
""")

# `linked_at` is when the picture changed, not when it was last looked at.
_LINK = text("""
UPDATE product_photo pp SET photo_sha256 = t.photo_sha256, note = t.note, etag = t.etag,
    last_modified = t.last_modified, size = t.size, mtime_ns = t.mtime_ns,
    linked_at = CASE WHEN pp.photo_sha256 = t.photo_sha256 THEN pp.linked_at ELSE now() END
FROM jsonb_to_recordset(CAST(:photos AS jsonb))
    AS t(product_id bigint, location text, photo_sha256 text, note text, etag text,
         last_modified text, size bigint, mtime_ns bigint)
WHERE pp.product_id = t.product_id AND pp.location = t.location
""")

_CLEAR_PROBLEMS = text("""
DELETE FROM photo_problem pr
USING jsonb_to_recordset(CAST(:photos AS jsonb)) AS t(product_id bigint, location text)
WHERE pr.product_id = t.product_id AND pr.location = t.location
""")

_UNLINK = text("""
UPDATE product_photo pp SET photo_sha256 = NULL, note = '', etag = NULL,
    last_modified = NULL, size = NULL, mtime_ns = NULL, linked_at = NULL
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(product_id bigint, location text)
WHERE pp.product_id = t.product_id AND pp.location = t.location
""")

# A reference that vanished meanwhile (a newer feed) has no problem any more.
_RECORD_PROBLEMS = text("""
INSERT INTO photo_problem (product_id, location, reason, detail)
SELECT t.product_id, t.location, t.reason, t.detail
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS t(product_id bigint, location text, reason text, detail text)
JOIN product_photo pp USING (product_id, location)
ON CONFLICT (product_id, location) DO UPDATE SET reason = excluded.reason,
    detail = excluded.detail, created_at = now()
""")

_PHOTO = "SELECT ph.sha256, ph.width, ph.height, ph.bytes, ph.media_type FROM photo ph"
_GET = text(f"{_PHOTO} WHERE ph.workspace_id = :ws AND ph.sha256 = :sha256")
_OF_PRODUCT = text(f"""
{_PHOTO}
JOIN product_photo pp ON pp.workspace_id = ph.workspace_id AND pp.photo_sha256 = ph.sha256
JOIN product p ON p.id = pp.product_id
WHERE p.workspace_id = :ws AND p.external_id = :external_id AND pp.role = CAST(:role AS photo_role)
ORDER BY p.active DESC, p.id, pp.position LIMIT 1
""")


def to_fetch(
    tx: Transaction,
    ws: int,
    source_id: int,
    *,
    after: tuple[int, str] | None = None,
    limit: int = 1000,
) -> tuple[ProductPhoto, ...]:
    """Photo references of active products, a page after `(product_id, location)`.

    Those fetched before come too, with the validators that tell whether they are still the same.
    """
    after_id, after_location = after or (0, "")
    page = {"after_id": after_id, "after_location": after_location, "limit": limit}
    rows = tx.execute(_TO_FETCH, {"ws": ws, "source": source_id, **page})
    return tuple(
        ProductPhoto(
            r.product_id,
            r.external_id,
            r.location,
            PhotoRole(r.role),
            r.position,
            r.photo_sha256,
            PhotoValidators(r.etag, r.last_modified, r.size, r.mtime_ns),
        )
        for r in rows
    )


def upsert(tx: Transaction, ws: int, photos: Sequence[Photo]) -> int:
    """Stores photos; returns how many the workspace did not have yet."""
    rows = as_json({p.sha256: asdict(p) for p in photos}.values())
    return len(tx.execute(_UPSERT, {"ws": ws, "photos": rows}).all())


def link(tx: Transaction, photos: Sequence[ProductPhoto]) -> None:
    """Says which stored photo each reference shows, with its validators; its problem is gone."""
    rows = as_json(
        {
            "product_id": p.product_id,
            "location": storable(p.location),
            "photo_sha256": p.photo_sha256,
            "note": bounded(p.note),
            **asdict(p.validators),
        }
        for p in photos
    )
    tx.execute(_LINK, {"photos": rows})
    tx.execute(_CLEAR_PROBLEMS, {"photos": rows})


def record_problems(tx: Transaction, problems: Iterable[PhotoProblem]) -> None:
    """Records why photos cannot be used; what they showed before is forgotten."""
    rows = {
        (p.product_id, p.location): {
            "product_id": p.product_id,
            "location": storable(p.location),
            "reason": p.reason,
            "detail": bounded(p.detail),
        }
        for p in problems
    }
    values: dict[str, Any] = {"rows": as_json(rows.values())}
    tx.execute(_UNLINK, values)
    tx.execute(_RECORD_PROBLEMS, values)


def get(tx: Transaction, ws: int, sha256: str) -> Photo:
    """Raises NotFoundError."""
    row = tx.execute(_GET, {"ws": ws, "sha256": sha256}).one_or_none()
    if row is None:
        raise NotFoundError(f"no photo {sha256[:12]}")
    return Photo(*row)


def of_product(
    tx: Transaction, ws: int, external_id: str, *, role: PhotoRole = PhotoRole.MAIN
) -> Photo:
    """The photo that stands for a product in a role. Raises NotFoundError."""
    values = {"ws": ws, "external_id": external_id, "role": role.value}
    row = tx.execute(_OF_PRODUCT, values).one_or_none()
    if row is None:
        raise NotFoundError(
            f"product '{external_id}' has no {role.value} photo that could be fetched",
            hint="see `adloom catalog show`",
        )
    return Photo(*row)
