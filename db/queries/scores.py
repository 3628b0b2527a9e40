"""Scores of renders and renditions."""

from collections.abc import Sequence

from sqlalchemy import text

from adloom.records import Lease, RunLease
from adloom.scores import Scores
from db.engine import Transaction
from db.queries import fences
from db.text import as_json

RAW = "raw"
"""Stands in the column for the render itself, where a finish hash stands for a rendition."""

_PUT = text("""
INSERT INTO score (render_id, stage, finish_hash, revision, workspace_id, values)
SELECT r.id, CAST(:stage AS stage), :finish_hash, :revision, r.workspace_id,
    CAST(:values AS jsonb)
FROM render r WHERE r.id = :render
ON CONFLICT (render_id, stage, finish_hash, revision) DO UPDATE SET
    values = excluded.values, created_at = now()
""")

_OF = text("""
SELECT render_id, stage, finish_hash, values AS measured FROM score
WHERE render_id = ANY (CAST(:renders AS bigint[]))
    AND (CAST(:revision AS text) IS NULL OR revision = :revision)
ORDER BY created_at
""")


def put(
    tx: Transaction,
    render_id: int,
    scores: Scores,
    *,
    finish_hash: str | None,
    lease: Lease | RunLease | None = None,
) -> None:
    """Stores scores of a render (`finish_hash` None) or of a rendition, in place of older ones.

    With a lease the write is fenced: raises LeaseLostError.
    """
    if lease is not None:
        fences.hold(tx, lease)
    values = {
        "render": render_id,
        "stage": scores.stage.value,
        "finish_hash": finish_hash or RAW,
        "revision": scores.revision,
        "values": as_json(scores.values),
    }
    tx.execute(_PUT, values)


def of(
    tx: Transaction, render_ids: Sequence[int], *, revision: str | None = None
) -> dict[int, dict[str | None, dict[str, float]]]:
    """By render, then by finish hash (None: raw), flat: `{'model.identity': 0.83}`.

    Without `revision` the newest value of each score counts.
    """
    found: dict[int, dict[str | None, dict[str, float]]] = {}
    for r in tx.execute(_OF, {"renders": list(render_ids), "revision": revision}):
        key = None if r.finish_hash == RAW else r.finish_hash
        flat = found.setdefault(r.render_id, {}).setdefault(key, {})
        flat.update({f"{r.stage}.{k}": v for k, v in r.measured.items() if v is not None})
    return found
