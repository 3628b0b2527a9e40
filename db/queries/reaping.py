"""Batches that lost their worker: handed back, and split or failed when they lose it repeatedly."""

from dataclasses import dataclass

from sqlalchemy import text

from adloom.records import ReapCounts
from adloom.states import AttemptEnding
from db.engine import Transaction
from db.queries import attempts

SPLIT_AFTER = 2
"""A batch that lost its worker this often is halved, to find what ends its workers."""
LONE_DEATHS, LONE_WORKERS = 3, 2
"""A render that ended this many processes of this many workers, alone in its batch, is failed."""

# After a restart of Postgres every lease has run out: holders get one lease's time to speak again.
_EXPIRED = """
lease_expires_at < clock_timestamp()
    AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => :grace)
"""
_HAND_BACK = """
UPDATE batch SET state = 'pending', lease_owner = NULL, lease_expires_at = NULL,
    submitted_at = NULL, taken_by = NULL
WHERE id IN (
    SELECT id FROM batch WHERE workspace_id = :ws AND state = 'leased' AND {condition}
    ORDER BY id FOR UPDATE SKIP LOCKED)
RETURNING id
"""
_HAND_BACK_EXPIRED = text(_HAND_BACK.format(condition=_EXPIRED))
_HAND_BACK_OF = text(_HAND_BACK.format(condition="lease_owner = :owner"))

_RENDERS = text("""
UPDATE render SET state = 'pending'
WHERE batch_id = ANY (CAST(:batches AS bigint[])) AND state = 'leased'
""")

_CLOSE_EMPTY = text("""
UPDATE batch b SET state = 'done', ended_at = now()
WHERE b.run_id = :run AND b.state = 'pending' AND NOT EXISTS (
    SELECT FROM render r WHERE r.batch_id = b.id AND r.state IN ('pending', 'leased'))
RETURNING b.id
""")

# Splitting forgets the deaths: each half has to lose its worker as often again. A process that
# lost its lease and lived, cut off for a while, has died once at most.
_SUSPECTS = text("""
SELECT b.id, b.run_id, count(DISTINCT a.owner) AS deaths,
    count(DISTINCT a.owner) FILTER (WHERE a.renders = 1) AS alone,
    count(DISTINCT a.worker) FILTER (WHERE a.renders = 1) AS workers_alone,
    string_agg(DISTINCT a.worker, ', ') FILTER (WHERE a.renders = 1) AS names,
    (SELECT count(*) FROM render r WHERE r.batch_id = b.id AND r.state = 'pending') AS renders
FROM batch b JOIN batch_attempt a ON a.batch_id = b.id AND a.ending IN ('lost', 'crashed')
WHERE b.workspace_id = :ws AND b.state = 'pending' AND b.attempts >= :split_after
GROUP BY b.id HAVING count(DISTINCT a.owner) >= :split_after ORDER BY b.id
""")

_LOCK = text("""
SELECT 1 FROM batch WHERE id = :batch AND state = 'pending' FOR UPDATE SKIP LOCKED
""")

_HALVE = text("""
WITH place AS (
    SELECT id, ntile(2) OVER (ORDER BY batch_position, id) AS half,
        row_number() OVER (ORDER BY batch_position, id) AS position
    FROM render WHERE batch_id = :batch AND state = 'pending'
), made AS (
    INSERT INTO batch (workspace_id, run_id, size, split_from)
    SELECT b.workspace_id, b.run_id, (SELECT count(*) FROM place WHERE half = h), b.id
    FROM batch b CROSS JOIN generate_series(1, 2) AS h WHERE b.id = :batch
    RETURNING id
), half AS (
    SELECT id, row_number() OVER (ORDER BY id) AS half FROM made
)
UPDATE render r SET batch_id = h.id, batch_position = p.position
FROM place p JOIN half h ON h.half = p.half WHERE r.id = p.id
RETURNING h.id
""")

_END = text("""
UPDATE batch SET state = CAST(:state AS batch_state), ended_at = now(),
    error_class = :error_class, error_message = :message
WHERE id = :batch
""")

_FAIL_RENDERS = text("""
UPDATE render SET state = 'failed', ended_at = now(), attempts = attempts + :deaths,
    error_class = 'DeadlyRenderError', error_retryable = false, error_message = :message
WHERE batch_id = :batch AND state = 'pending'
""")


@dataclass(frozen=True, slots=True)
class _Suspect:
    batch: int
    deaths: int
    alone: int
    workers_alone: int
    names: str
    renders: int


def reap(tx: Transaction, ws: int, *, grace_s: float) -> ReapCounts:
    """Hands back batches whose lease has run out, then splits or fails those that lost too many.

    `grace_s`: how long after a start of the server nothing counts as run out.
    """
    batches = list(tx.execute(_HAND_BACK_EXPIRED, {"ws": ws, "grace": grace_s}).scalars())
    evicted = _handed_back(tx, batches)
    split, failed = judge_deaths(tx, ws)
    return ReapCounts(len(batches), evicted, split, failed)


def hand_back_of(tx: Transaction, ws: int, owner: str) -> int:
    """Hands back all that a process held which is known to have ended; returns how many."""
    batches = list(tx.execute(_HAND_BACK_OF, {"ws": ws, "owner": owner}).scalars())
    _handed_back(tx, batches)
    return len(batches)


def close_empty(tx: Transaction, run_id: int) -> int:
    """Ends batches whose worker was lost after the last render was made; returns how many."""
    return len(tx.execute(_CLOSE_EMPTY, {"run": run_id}).all())


def judge_deaths(tx: Transaction, ws: int) -> tuple[int, int]:
    """Splits batches that lost their worker repeatedly and fails renders that do so alone.

    Returns how many batches were split and how many renders were failed.
    """
    split = failed = 0
    for row in tx.execute(_SUSPECTS, {"ws": ws, "split_after": SPLIT_AFTER}).all():
        one = _Suspect(row.id, row.deaths, row.alone, row.workers_alone, row.names, row.renders)
        if tx.execute(_LOCK, {"batch": one.batch}).one_or_none() is None:
            continue
        if one.renders > 1:
            _split(tx, one)
            split += 1
        elif one.renders and one.alone >= LONE_DEATHS and one.workers_alone >= LONE_WORKERS:
            _fail(tx, one)
            failed += 1
    return split, failed


def _handed_back(tx: Transaction, batches: list[int]) -> int:
    if not batches:
        return 0
    lost = attempts.lose(tx, batches)
    tx.execute(_RENDERS, {"batches": batches})
    return sum(row.ending == AttemptEnding.EVICTED for row in lost)


def _split(tx: Transaction, one: _Suspect) -> None:
    halves = sorted(set(tx.execute(_HALVE, {"batch": one.batch}).scalars()))
    message = f"lost its worker {one.deaths} times; split into batches {halves[0]} and {halves[1]}"
    values = {"state": "cancelled", "error_class": "LeaseLostError", "message": message}
    tx.execute(_END, {"batch": one.batch, **values})


def _fail(tx: Transaction, one: _Suspect) -> None:
    message = (
        f"{one.alone} processes of workers {one.names} ended while they made this render alone"
    )
    tx.execute(_FAIL_RENDERS, {"batch": one.batch, "deaths": one.deaths, "message": message})
    values = {"state": "failed", "error_class": "DeadlyRenderError", "message": message}
    tx.execute(_END, {"batch": one.batch, **values})
