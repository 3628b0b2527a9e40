"""How well photos suit ads: those still to be scored, and the scores."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from db.engine import Transaction

# Only where there is a choice: photos of active products that have another one.
_WITHOUT = text("""
SELECT c.photo_sha256, c.mask_sha256, c.confidence FROM cutout c
WHERE c.workspace_id = :ws AND c.is_current
    AND EXISTS (
        SELECT FROM product_photo pp JOIN product p ON p.id = pp.product_id
        JOIN product_photo other ON other.product_id = p.id
            AND other.photo_sha256 <> pp.photo_sha256
        WHERE pp.workspace_id = c.workspace_id AND pp.photo_sha256 = c.photo_sha256 AND p.active)
    AND NOT EXISTS (
        SELECT FROM photo_quality q
        WHERE q.workspace_id = c.workspace_id AND q.photo_sha256 = c.photo_sha256
            AND q.mask_sha256 = c.mask_sha256 AND q.scorer_version = :version)
ORDER BY c.photo_sha256
LIMIT :limit
""")

_PUT = text("""
INSERT INTO photo_quality (workspace_id, photo_sha256, mask_sha256, scorer_version, score, parts)
VALUES (:ws, :photo, :mask, :version, :score, CAST(:parts AS jsonb))
ON CONFLICT (workspace_id, photo_sha256) DO UPDATE SET
    mask_sha256 = excluded.mask_sha256, scorer_version = excluded.scorer_version,
    score = excluded.score, parts = excluded.parts, created_at = now()
""")


@dataclass(frozen=True, slots=True)
class UnscoredPhoto:
    """A photo with its current mask, not scored yet as they are."""

    photo_sha256: str
    mask_sha256: str
    confidence: float


def unscored(tx: Transaction, ws: int, version: str, *, limit: int) -> tuple[UnscoredPhoto, ...]:
    """Photos among which there is a choice, without a score of this version and their mask."""
    rows = tx.execute(_WITHOUT, {"ws": ws, "version": version, "limit": limit})
    return tuple(UnscoredPhoto(*row) for row in rows)


def put(
    tx: Transaction,
    ws: int,
    photo: UnscoredPhoto,
    *,
    version: str,
    score: float,
    parts: Mapping[str, float],
) -> None:
    """Stores a photo's score in place of the one it had."""
    tx.execute(
        _PUT,
        {
            "ws": ws, "photo": photo.photo_sha256, "mask": photo.mask_sha256, "version": version,
            "score": score, "parts": json.dumps(dict(parts)),
        },
    )  # fmt: skip
