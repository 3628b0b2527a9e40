"""What happened to a creative: its items in runs, the verdicts on them, its finishing."""

from typing import Any

from sqlalchemy import text

from adloom.gates import Decision, Reason
from adloom.records import CreativeItem, StoredVerdict
from adloom.states import Disposition, Outcome
from db.engine import Transaction

_ITEMS = text("""
SELECT i.id, i.run_id, i.draw, i.disposition, i.outcome, r.fingerprint, d.sha256, i.error_class,
    i.error_message, i.created_at, i.ended_at
FROM run_item i
JOIN render r ON r.id = i.render_id
LEFT JOIN rendition d ON d.workspace_id = i.workspace_id AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
WHERE i.workspace_id = :ws AND i.creative_id = :creative ORDER BY i.id DESC LIMIT :limit
""")

_VERDICTS = text("""
SELECT v.run_item_id, v.gate_set_hash, v.decision, v.reasons, v.created_at FROM verdict v
WHERE v.run_item_id = ANY (CAST(:items AS bigint[])) ORDER BY v.created_at DESC, v.id DESC LIMIT 100
""")

_FINISHING = text("""
SELECT spec FROM finishing_recipe WHERE workspace_id = :ws AND finish_hash = :finish_hash
""")


def items(
    tx: Transaction, ws: int, creative_id: int, *, limit: int = 30
) -> tuple[CreativeItem, ...]:
    """The newest items of a creative, newest first."""
    rows = tx.execute(_ITEMS, {"ws": ws, "creative": creative_id, "limit": limit})
    return tuple(
        CreativeItem(
            run_item_id=r.id,
            run_id=r.run_id,
            draw=r.draw,
            disposition=Disposition(r.disposition),
            outcome=Outcome(r.outcome),
            fingerprint=r.fingerprint,
            image_sha256=r.sha256,
            error=f"{r.error_class}: {r.error_message}" if r.error_class else None,
            created_at=r.created_at,
            ended_at=r.ended_at,
        )
        for r in rows
    )


def verdicts(tx: Transaction, run_items: list[int]) -> tuple[StoredVerdict, ...]:
    """The verdicts on these run items, newest first."""
    return tuple(
        StoredVerdict(
            r.run_item_id,
            r.gate_set_hash,
            Decision(r.decision),
            tuple(Reason(**reason) for reason in r.reasons),
            r.created_at,
        )
        for r in tx.execute(_VERDICTS, {"items": run_items})
    )


def finishing(tx: Transaction, ws: int, finish_hash: str) -> dict[str, Any]:
    """The finishing spec under its hash; empty where it was never stored."""
    values = {"ws": ws, "finish_hash": finish_hash}
    return dict(tx.execute(_FINISHING, values).scalar_one_or_none() or {})
