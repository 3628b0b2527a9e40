"""Cutouts: photos that still need one, and which of several is current."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from adloom.cutouts import Cutout, MaskOrigin, Photo
from adloom.geometry import Box
from adloom.records import MaskVersion
from db.engine import Transaction
from db.text import as_json, bounded

_WITHOUT = text("""
SELECT ph.sha256, ph.width, ph.height, ph.bytes, ph.media_type FROM photo ph
WHERE ph.workspace_id = :ws
    AND EXISTS (
        SELECT FROM product_photo pp JOIN product p ON p.id = pp.product_id
        WHERE pp.workspace_id = ph.workspace_id AND pp.photo_sha256 = ph.sha256 AND p.active)
    AND NOT EXISTS (
        SELECT FROM cutout c
        WHERE c.workspace_id = ph.workspace_id AND c.photo_sha256 = ph.sha256
            AND c.withdrawn_at IS NULL
            AND (c.origin IN ('manual', 'alpha') OR c.extractor_version = :version))
    AND NOT EXISTS (
        SELECT FROM cutout_problem cp
        WHERE cp.workspace_id = ph.workspace_id AND cp.photo_sha256 = ph.sha256
            AND cp.extractor_version = :version)
ORDER BY ph.created_at, ph.sha256
LIMIT :limit
""")

_CATEGORIES = text("""
SELECT DISTINCT ON (pp.photo_sha256) pp.photo_sha256, p.category
FROM product_photo pp JOIN product p ON p.id = pp.product_id
WHERE pp.workspace_id = :ws AND pp.photo_sha256 = ANY (CAST(:photos AS text[])) AND p.active
ORDER BY pp.photo_sha256, p.id
""")

# Serialises those that decide which cutout of a photo is current.
_LOCK_PHOTOS = text("""
SELECT FROM photo WHERE workspace_id = :ws AND sha256 = ANY (CAST(:photos AS text[]))
ORDER BY sha256 FOR NO KEY UPDATE
""")

# `created_at` is when the mask came to be: storing the same mask again makes nothing newer.
_UPSERT = text("""
INSERT INTO cutout AS c (workspace_id, photo_sha256, mask_sha256, origin, extractor_version,
    confidence, bbox_x, bbox_y, bbox_width, bbox_height, area_fraction, colours)
SELECT :ws, t.photo_sha256, t.mask_sha256, t.origin, t.extractor_version, t.confidence, t.bbox_x,
    t.bbox_y, t.bbox_width, t.bbox_height, t.area_fraction, t.colours
FROM jsonb_to_recordset(CAST(:cutouts AS jsonb)) AS t(
    photo_sha256 text, mask_sha256 text, origin mask_origin, extractor_version text,
    confidence float8, bbox_x float8, bbox_y float8, bbox_width float8, bbox_height float8,
    area_fraction float8, colours text[])
ON CONFLICT (workspace_id, photo_sha256, origin, extractor_version) DO UPDATE SET
    mask_sha256 = excluded.mask_sha256, confidence = excluded.confidence,
    bbox_x = excluded.bbox_x, bbox_y = excluded.bbox_y, bbox_width = excluded.bbox_width,
    bbox_height = excluded.bbox_height, area_fraction = excluded.area_fraction,
    colours = excluded.colours,
    created_at = CASE WHEN c.mask_sha256 = excluded.mask_sha256 AND c.origin <> 'manual'
        THEN c.created_at ELSE clock_timestamp() END
""")

_BEST = """
SELECT DISTINCT ON (photo_sha256) id FROM cutout
WHERE workspace_id = :ws AND photo_sha256 = ANY (CAST(:photos AS text[]))
    AND withdrawn_at IS NULL
ORDER BY photo_sha256,
    array_position(CAST(ARRAY['manual', 'alpha', 'extracted'] AS mask_origin[]), origin),
    created_at DESC, id DESC
"""

# Two statements, since a partial unique index is checked row by row.
_OTHERS_NOT_CURRENT = text(f"""
UPDATE cutout SET is_current = false
WHERE workspace_id = :ws AND photo_sha256 = ANY (CAST(:photos AS text[])) AND is_current
    AND id NOT IN ({_BEST})
""")
_BEST_CURRENT = text(
    f"UPDATE cutout SET is_current = true WHERE NOT is_current AND id IN ({_BEST})"
)

_RECORD_PROBLEM = text("""
INSERT INTO cutout_problem (workspace_id, photo_sha256, extractor_version, reason, detail)
VALUES (:ws, :photo, :version, :reason, :detail)
ON CONFLICT (workspace_id, photo_sha256, extractor_version) DO UPDATE SET
    reason = excluded.reason, detail = excluded.detail, created_at = now()
""")

_CURRENT = text("""
SELECT * FROM cutout WHERE workspace_id = :ws AND photo_sha256 = :photo AND is_current
""")

_WITHDRAW_MANUAL = text("""
UPDATE cutout SET withdrawn_at = clock_timestamp()
WHERE workspace_id = :ws AND photo_sha256 = :photo AND origin = 'manual' AND withdrawn_at IS NULL
RETURNING id
""")

_MANUAL_COUNT = text("""
SELECT count(*) FROM cutout
WHERE workspace_id = :ws AND photo_sha256 = :photo AND origin = 'manual'
""")

_SIGN = text("""
UPDATE cutout SET given_by = :given_by, note = :note
WHERE workspace_id = :ws AND photo_sha256 = :photo AND extractor_version = :version
    AND origin = 'manual'
""")

_MANUAL_VERSIONS = text("""
SELECT * FROM cutout WHERE workspace_id = :ws AND photo_sha256 = :photo AND origin = 'manual'
ORDER BY id
""")


def photos_without_cutout(
    tx: Transaction, ws: int, extractor_version: str, *, limit: int | None = None
) -> tuple[Photo, ...]:
    """Photos of active products that this version of the extractor has still to look at.

    Those with a manual or alpha mask need none, nor do those it has already failed on.
    """
    values = {"ws": ws, "version": extractor_version, "limit": limit}
    return tuple(Photo(*row) for row in tx.execute(_WITHOUT, values))


def categories_of(tx: Transaction, ws: int, photos: Sequence[str]) -> dict[str, str]:
    """What each photo shows: the category of the first active product that it is of."""
    rows = tx.execute(_CATEGORIES, {"ws": ws, "photos": list(photos)})
    return {row.photo_sha256: row.category for row in rows}


def upsert(tx: Transaction, ws: int, cutouts: Sequence[Cutout]) -> None:
    """Stores cutouts; of each photo the best becomes current.

    Best is manual before alpha before extracted, then the newest.
    """
    photos = sorted({c.photo_sha256 for c in cutouts})
    tx.execute(_LOCK_PHOTOS, {"ws": ws, "photos": photos})
    unique = {(c.photo_sha256, c.origin, c.extractor_version): c for c in cutouts}
    tx.execute(_UPSERT, {"ws": ws, "cutouts": as_json(_row(c) for c in unique.values())})
    _choose_current(tx, ws, photos)


def record_problem(
    tx: Transaction, ws: int, photo_sha256: str, extractor_version: str, reason: str, detail: str
) -> None:
    """Records that this version of the extractor finds no product in a photo."""
    values = {"ws": ws, "photo": photo_sha256, "version": extractor_version, "reason": reason}
    tx.execute(_RECORD_PROBLEM, {**values, "detail": bounded(detail)})


def current(tx: Transaction, ws: int, photo_sha256: str) -> Cutout | None:
    row = tx.execute(_CURRENT, {"ws": ws, "photo": photo_sha256}).one_or_none()
    return None if row is None else _cutout(row)


def add_manual(
    tx: Transaction, ws: int, cutout: Cutout, *, given_by: str = "", note: str = ""
) -> MaskVersion:
    """Makes a user's mask the current one, as the photo's next manual version.

    The mask that is current already is no new version. `cutout.extractor_version` is not used.
    """
    photo = cutout.photo_sha256
    tx.execute(_LOCK_PHOTOS, {"ws": ws, "photos": [photo]})
    before = [v for v in manual_versions(tx, ws, photo) if v.is_current]
    if before and before[0].cutout.mask_sha256 == cutout.mask_sha256:
        return before[0]
    number = tx.execute(_MANUAL_COUNT, {"ws": ws, "photo": photo}).scalar_one() + 1
    named = replace(cutout, origin=MaskOrigin.MANUAL, extractor_version=f"manual-{number}")
    upsert(tx, ws, [named])
    signed = {"ws": ws, "photo": photo, "version": named.extractor_version}
    tx.execute(_SIGN, {**signed, "given_by": bounded(given_by), "note": bounded(note)})
    return manual_versions(tx, ws, photo)[-1]


def manual_versions(tx: Transaction, ws: int, photo_sha256: str) -> tuple[MaskVersion, ...]:
    """All masks that users have given a photo, the oldest first."""
    rows = tx.execute(_MANUAL_VERSIONS, {"ws": ws, "photo": photo_sha256})
    return tuple(
        MaskVersion(
            number, _cutout(r), r.given_by, r.note, r.created_at, r.withdrawn_at, r.is_current
        )
        for number, r in enumerate(rows, start=1)
    )


def withdraw_manual(tx: Transaction, ws: int, photo_sha256: str) -> bool:
    """Uses no manual mask any more; the best of the others becomes current. Whether there was one.

    The versions stay, and any of them can be added again.
    """
    tx.execute(_LOCK_PHOTOS, {"ws": ws, "photos": [photo_sha256]})
    dropped = tx.execute(_WITHDRAW_MANUAL, {"ws": ws, "photo": photo_sha256}).all()
    _choose_current(tx, ws, [photo_sha256])
    return bool(dropped)


def _choose_current(tx: Transaction, ws: int, photos: list[str]) -> None:
    tx.execute(_OTHERS_NOT_CURRENT, {"ws": ws, "photos": photos})
    tx.execute(_BEST_CURRENT, {"ws": ws, "photos": photos})


def _row(cutout: Cutout) -> dict[str, Any]:
    box = cutout.bbox
    return {
        "photo_sha256": cutout.photo_sha256,
        "mask_sha256": cutout.mask_sha256,
        "origin": cutout.origin.value,
        "extractor_version": cutout.extractor_version,
        "confidence": cutout.confidence,
        "bbox_x": box.x,
        "bbox_y": box.y,
        "bbox_width": box.width,
        "bbox_height": box.height,
        "area_fraction": cutout.area_fraction,
        "colours": list(cutout.colours),
    }


def _cutout(row: Any) -> Cutout:
    return Cutout(
        row.photo_sha256,
        row.mask_sha256,
        MaskOrigin(row.origin),
        row.extractor_version,
        row.confidence,
        Box(row.bbox_x, row.bbox_y, row.bbox_width, row.bbox_height),
        row.area_fraction,
        tuple(row.colours),
    )
