"""What runs have made of their budgets."""

from sqlalchemy import text

from adloom.records import Spending
from db.engine import Transaction

_SPENT = text("""
SELECT count(*) AS images, coalesce(sum(CAST(r.timings->>'render_s' AS float8)), 0) AS device_s
FROM run u JOIN batch b ON b.run_id = u.id JOIN render r ON r.batch_id = b.id
WHERE u.id = :run AND r.state = 'rendered' AND r.timings ? 'render_s'
    AND r.ended_at >= coalesce(u.spent_since, u.created_at)
""")


def of_run(tx: Transaction, run_id: int) -> Spending:
    """Counted are the renders of batches that the run itself has cut: one that two runs share is
    paid for once."""
    row = tx.execute(_SPENT, {"run": run_id}).one()
    return Spending(row.images, row.device_s)
