"""Which batches are handed to a fleet, and which of those that were have got lost on the way.

A batch's row is marked before Prefect is asked, so that two coordinators never submit it both; one
that dies between the two leaves a mark without a flow run, which counts as lost.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from adloom.records import Submission
from db.engine import Transaction

# The run's own, and those of others that hold what it waits for: their run may have nobody who
# would miss them. Few batches are submitted at a time, so the rows are sought from there.
_NEEDED = """
b.workspace_id = (SELECT workspace_id FROM run WHERE id = :run) AND b.submitted_at IS NOT NULL
    AND (b.run_id = :run OR EXISTS (SELECT FROM render r JOIN run_item i ON i.render_id = r.id
        WHERE r.batch_id = b.id AND r.state IN ('pending', 'leased') AND i.run_id = :run
            AND i.outcome = 'open'))
"""

_UNDER_WAY = text(f"""
SELECT count(*) FROM batch b WHERE b.state IN ('pending', 'leased') AND {_NEEDED}
""")

_OWN = """
SELECT b.id FROM batch b
WHERE b.run_id = :run AND b.state = 'pending' AND b.submitted_at IS NULL
ORDER BY b.id LIMIT :limit FOR UPDATE SKIP LOCKED
"""

# Cut by another run, which may have lost its coordinator or be paused.
_OTHERS = """
SELECT b.id FROM batch b
WHERE b.workspace_id = :ws AND b.run_id <> :run AND b.state = 'pending' AND b.submitted_at IS NULL
    AND EXISTS (SELECT FROM render r JOIN run_item i ON i.render_id = r.id
        WHERE r.batch_id = b.id AND r.state = 'pending' AND i.run_id = :run AND i.outcome = 'open')
ORDER BY b.id LIMIT :limit FOR UPDATE SKIP LOCKED
"""

_MARK = """
UPDATE batch SET submitted_at = clock_timestamp(), submissions = submissions + 1,
    prefect_flow_run_id = NULL, taken_by = NULL
WHERE id IN ({chosen})
RETURNING id, run_id, submissions, prefect_flow_run_id, taken_by, 0 AS age_s, true AS taker_alive,
    CAST(extract(epoch FROM submitted_at) * 1000 AS bigint) AS stamp
"""
_MARK_OWN, _MARK_OTHERS = text(_MARK.format(chosen=_OWN)), text(_MARK.format(chosen=_OTHERS))

_WAITING = text(f"""
SELECT b.id, b.run_id, b.submissions, b.prefect_flow_run_id, b.taken_by,
    extract(epoch FROM clock_timestamp() - b.submitted_at) AS age_s,
    CAST(extract(epoch FROM b.submitted_at) * 1000 AS bigint) AS stamp,
    EXISTS (SELECT FROM worker w WHERE w.workspace_id = b.workspace_id AND w.owner = b.taken_by
        AND w.state <> 'stopped' AND w.expires_at > clock_timestamp()) AS taker_alive
FROM batch b WHERE b.state = 'pending' AND {_NEEDED}
ORDER BY b.id
""")

_UNTAKEN = text("""
SELECT EXISTS (SELECT FROM batch WHERE workspace_id = :ws AND state = 'pending'
    AND submitted_at IS NOT NULL AND taken_by IS NULL)
""")

_FLOW_RUN = text("""
UPDATE batch SET prefect_flow_run_id = :flow_run
WHERE id = :batch AND submissions = :submissions AND submitted_at IS NOT NULL
""")

_TAKE = text("""
UPDATE batch SET taken_by = :owner,
    prefect_flow_run_id = coalesce(CAST(:flow_run AS text), prefect_flow_run_id)
WHERE id = :batch AND state = 'pending'
""")

_LET_GO = text("""
UPDATE batch SET submitted_at = NULL, taken_by = NULL
WHERE id = :batch AND state = 'pending' AND taken_by = :owner
""")

_WITHDRAW = text("""
UPDATE batch SET submitted_at = NULL, taken_by = NULL
WHERE id = :batch AND submissions = :submissions AND state = 'pending'
    AND taken_by IS NOT DISTINCT FROM CAST(:taken_by AS text)
""")

_TAKEN_AWAY = text("""
UPDATE batch SET submitted_at = NULL, taken_by = NULL WHERE state = 'pending' AND taken_by = :owner
    AND workspace_id = :ws
""")


def mark(tx: Transaction, run_id: int, *, limit: int) -> tuple[Submission, ...]:
    """Up to `limit` of a run's batches that wait to be submitted, marked as submitted."""
    return _submissions(tx.execute(_MARK_OWN, {"run": run_id, "limit": limit}))


def mark_others(tx: Transaction, ws: int, run_id: int, *, limit: int) -> tuple[Submission, ...]:
    """The same of batches that other runs have cut and this run needs."""
    return _submissions(tx.execute(_MARK_OTHERS, {"ws": ws, "run": run_id, "limit": limit}))


def under_way(tx: Transaction, run_id: int) -> int:
    """How many batches are submitted, have not ended, and are the run's or needed by it."""
    return int(tx.execute(_UNDER_WAY, {"run": run_id}).scalar_one())


def waiting(tx: Transaction, run_id: int) -> tuple[Submission, ...]:
    """The batches, the run's or needed by it, that were submitted and that nobody has begun."""
    return _submissions(tx.execute(_WAITING, {"run": run_id}))


def are_untaken(tx: Transaction, ws: int) -> bool:
    """Whether any batch was handed to the fleet and no worker has taken it."""
    return bool(tx.execute(_UNTAKEN, {"ws": ws}).scalar_one())


def note_flow_run(tx: Transaction, submission: Submission, flow_run_id: str) -> None:
    """Notes the flow run that was made for a submission."""
    values = {"batch": submission.batch_id, "submissions": submission.number}
    tx.execute(_FLOW_RUN, {**values, "flow_run": flow_run_id})


def take(tx: Transaction, batch_id: int, owner: str, flow_run_id: str | None = None) -> None:
    """Notes the process that has taken a batch, by which flow run, and will begin it."""
    tx.execute(_TAKE, {"batch": batch_id, "owner": owner, "flow_run": flow_run_id})


def let_go(tx: Transaction, batch_id: int, owner: str) -> None:
    """Has a batch that its taker will not begin after all submitted again."""
    tx.execute(_LET_GO, {"batch": batch_id, "owner": owner})


def withdraw(tx: Transaction, lost: Sequence[Submission]) -> None:
    """Has batches submitted again, under another key, unless someone took them meanwhile."""
    for one in lost:
        values = {"batch": one.batch_id, "submissions": one.number, "taken_by": one.taken_by}
        tx.execute(_WITHDRAW, values)


def withdraw_taken(tx: Transaction, ws: int, owner: str) -> None:
    """Has all that a process had taken and not begun submitted again."""
    tx.execute(_TAKEN_AWAY, {"ws": ws, "owner": owner})


def _submissions(rows: Any) -> tuple[Submission, ...]:
    return tuple(
        Submission(
            batch_id=r.id,
            run_id=r.run_id,
            number=r.submissions,
            stamp=r.stamp,
            flow_run_id=r.prefect_flow_run_id,
            taken_by=r.taken_by,
            taker_is_alive=bool(r.taker_alive),
            age_s=float(r.age_s),
        )
        for r in sorted(rows, key=lambda r: r.id)
    )
