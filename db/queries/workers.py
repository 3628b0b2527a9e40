"""The processes of a fleet: registered by name, alive while they say so."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from adloom.records import WorkerRecord
from adloom.states import WorkerState
from db.engine import Transaction
from db.text import as_json

_BEARER = text("""
SELECT owner FROM worker WHERE workspace_id = :ws AND name = :name FOR UPDATE
""")

_ADMIT = text("SELECT FROM workspace WHERE id = :ws FOR NO KEY UPDATE")

_REGISTER = text("""
INSERT INTO worker (workspace_id, name, owner, pool, host, pid, device, version, stats, started_at,
    expires_at)
VALUES (:ws, :name, :owner, :pool, :host, :pid, :device, :version, CAST(:stats AS jsonb),
    clock_timestamp(), clock_timestamp() + make_interval(secs => :ttl))
ON CONFLICT (workspace_id, name) DO UPDATE SET owner = excluded.owner, pool = excluded.pool,
    host = excluded.host, pid = excluded.pid, device = excluded.device, state = 'working',
    version = excluded.version, stats = excluded.stats, started_at = excluded.started_at,
    expires_at = excluded.expires_at
""")

_BEAT = text("""
UPDATE worker SET expires_at = clock_timestamp() + make_interval(secs => :ttl),
    state = CAST(:state AS worker_state), stats = CAST(:stats AS jsonb)
WHERE workspace_id = :ws AND owner = :owner
RETURNING name
""")

_ALL = text("""
SELECT name, owner, pool, host, pid, device, version, state, stats, started_at, expires_at,
    state <> 'stopped' AND expires_at > clock_timestamp() AS alive
FROM worker
WHERE workspace_id = :ws AND (CAST(:pool AS text) IS NULL OR pool = :pool)
    AND (CAST(:within AS float8) IS NULL
        OR expires_at > clock_timestamp() - make_interval(secs => :within))
ORDER BY pool, name
""")

_WORKING = text("""
SELECT count(*) FROM worker WHERE workspace_id = :ws AND pool = :pool AND state = 'working'
    AND expires_at > clock_timestamp()
""")

_OF_OTHER_RENDERER = text("""
SELECT EXISTS (SELECT FROM worker WHERE workspace_id = :ws AND pool = :pool AND state = 'working'
    AND expires_at > clock_timestamp() AND stats->'build'->>'renderer' <> :renderer)
""")

_REFUSALS = text("""
SELECT one->>'reason' AS reason FROM worker CROSS JOIN jsonb_array_elements(stats->'refuses') AS one
WHERE workspace_id = :ws AND pool = :pool AND state = 'working'
    AND expires_at > clock_timestamp() AND one->>'model' = :model AND one->>'weights' = :weights
ORDER BY name
""")


def admit_one_at_a_time(tx: Transaction, ws: int) -> None:
    """Until the commit no other worker registers: who comes second sees the first."""
    tx.execute(_ADMIT, {"ws": ws})


def bearer(tx: Transaction, ws: int, name: str) -> str | None:
    """The process that bears a worker's name, or bore it last; locked until the commit."""
    return tx.execute(_BEARER, {"ws": ws, "name": name}).scalar_one_or_none()


def register(tx: Transaction, ws: int, worker: WorkerRecord, ttl_s: float) -> None:
    """Gives the worker's name to its process. First hand back what the one before it held: which
    of two processes had been told to stop is known by the name's row."""
    values = {
        "ws": ws,
        "name": worker.name,
        "owner": worker.owner,
        "pool": worker.pool,
        "host": worker.host,
        "pid": worker.pid,
        "device": worker.device,
        "version": worker.version,
        "stats": as_json(worker.stats),
        "ttl": ttl_s,
    }
    tx.execute(_REGISTER, values)


def beat(
    tx: Transaction,
    ws: int,
    owner: str,
    *,
    state: WorkerState,
    stats: Mapping[str, Any],
    ttl_s: float,
) -> bool:
    """Says that the process is alive for `ttl_s` more; False if another bears its name by now."""
    values = {"ws": ws, "owner": owner, "state": state.value, "stats": as_json(stats)}
    return tx.execute(_BEAT, {**values, "ttl": ttl_s}).one_or_none() is not None


def listed(
    tx: Transaction, ws: int, pool: str | None = None, *, within_s: float | None = None
) -> tuple[WorkerRecord, ...]:
    """The workers that were ever registered, of one pool or of all; or those that were alive in the
    last `within_s` seconds."""
    return tuple(
        WorkerRecord(
            name=r.name,
            owner=r.owner,
            pool=r.pool,
            host=r.host,
            pid=r.pid,
            device=r.device,
            version=r.version,
            state=WorkerState(r.state),
            stats=r.stats,
            alive=bool(r.alive),
            started_at=r.started_at,
        )
        for r in tx.execute(_ALL, {"ws": ws, "pool": pool, "within": within_s})
    )


def working(tx: Transaction, ws: int, pool: str) -> int:
    """How many workers of a pool take work at the moment."""
    return int(tx.execute(_WORKING, {"ws": ws, "pool": pool}).scalar_one())


def any_of_other_renderer(tx: Transaction, ws: int, pool: str, renderer: str) -> bool:
    """Whether a worker of a pool that takes work says that it renders with another version."""
    values = {"ws": ws, "pool": pool, "renderer": renderer}
    return bool(tx.execute(_OF_OTHER_RENDERER, values).scalar_one())


def refusals(tx: Transaction, ws: int, pool: str, model: str, weights_hash: str) -> tuple[str, ...]:
    """Why workers of a pool that take work make none of a model's, one reason a worker."""
    values = {"ws": ws, "pool": pool, "model": model, "weights": weights_hash}
    return tuple(tx.execute(_REFUSALS, values).scalars())
