"""How long renders took that were made with some weights."""

from sqlalchemy import text

from adloom.records import Pace
from db.engine import Transaction

_PACE = text("""
SELECT device, count(*) AS renders, avg(CAST(timings->>'render_s' AS float8)) AS seconds
FROM (SELECT device, timings FROM render
    WHERE workspace_id = :ws AND state = 'rendered' AND timings ? 'render_s'
        AND spec->>'weights_hash' = :weights
    ORDER BY id DESC LIMIT :newest) AS r
GROUP BY device ORDER BY renders DESC, device LIMIT 1
""")


def of_weights(tx: Transaction, ws: int, weights_hash: str, *, newest: int = 1000) -> Pace | None:
    """The pace of the newest renders, on the device that made most of them; None if none is known.

    Every size of picture counts alike.
    """
    row = tx.execute(_PACE, {"ws": ws, "weights": weights_hash, "newest": newest}).one_or_none()
    return None if row is None else Pace(row.device, row.renders, row.seconds)
