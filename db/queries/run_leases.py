"""The lease of the one coordinator that drives a run: the fence of all that it writes.

As with batches, a write takes a share lock on the run's row before all else (a plan's writers a
stronger one before it, after copying rows that nobody else sees): until it commits
nobody can claim the run, and after somebody has, the epoch differs and nothing is written.
"""

from sqlalchemy import text

from adloom.errors import LeaseLostError
from adloom.records import RunLease
from db.engine import Transaction

# After a restart of Postgres every lease has run out: holders get `grace` to speak again.
_CLAIM = text("""
UPDATE run SET lease_owner = :owner, lease_epoch = lease_epoch + 1,
    lease_expires_at = clock_timestamp() + make_interval(secs => :ttl)
WHERE id = :run AND (lease_owner IS NULL OR (lease_expires_at < clock_timestamp()
    AND pg_postmaster_start_time() <= clock_timestamp() - make_interval(secs => :grace)))
RETURNING lease_epoch, lease_expires_at
""")

_HEARTBEAT = text("""
UPDATE run SET lease_expires_at = clock_timestamp() + make_interval(secs => :ttl)
WHERE id = :run AND lease_epoch = :epoch AND lease_owner = :owner
RETURNING lease_epoch, lease_expires_at
""")

_FENCE = text("""
SELECT 1 FROM run WHERE id = :run AND lease_epoch = :epoch AND lease_owner = :owner FOR SHARE
""")

_RELEASE = text("""
UPDATE run SET lease_owner = NULL, lease_expires_at = NULL
WHERE id = :run AND lease_epoch = :epoch AND lease_owner = :owner
""")

_IS_HELD = text("""
SELECT lease_owner IS NOT NULL AND lease_expires_at > clock_timestamp() FROM run WHERE id = :run
""")


def claim(
    tx: Transaction, run_id: int, owner: str, ttl_s: float, *, grace_s: float = 0.0
) -> RunLease | None:
    """Takes hold of a run for `ttl_s`; None while another's lease has not run out.

    `grace_s`: how long after a start of the server no lease counts as run out.
    """
    values = {"run": run_id, "owner": owner, "ttl": ttl_s, "grace": grace_s}
    row = tx.execute(_CLAIM, values).one_or_none()
    return None if row is None else RunLease(run_id, owner, *row)


def heartbeat(tx: Transaction, lease: RunLease, ttl_s: float) -> RunLease:
    """Holds on for another `ttl_s`. Raises LeaseLostError."""
    row = tx.execute(_HEARTBEAT, {**_key(lease), "ttl": ttl_s}).one_or_none()
    if row is None:
        raise _lost(lease)
    return RunLease(lease.run_id, lease.owner, *row)


def hold(tx: Transaction, lease: RunLease) -> None:
    """The fence: from here to the commit the lease holds. Raises LeaseLostError."""
    if tx.execute(_FENCE, _key(lease)).one_or_none() is None:
        raise _lost(lease)


def is_held(tx: Transaction, run_id: int) -> bool:
    """Whether a coordinator holds the run at the moment."""
    return bool(tx.execute(_IS_HELD, {"run": run_id}).scalar_one())


def release(tx: Transaction, lease: RunLease) -> None:
    """Lets go; a lease that was lost already is no matter."""
    tx.execute(_RELEASE, _key(lease))


def _key(lease: RunLease) -> dict[str, object]:
    return {"run": lease.run_id, "epoch": lease.epoch, "owner": lease.owner}


def _lost(lease: RunLease) -> LeaseLostError:
    return LeaseLostError(
        f"'{lease.owner}' no longer coordinates this run; nothing was written",
        where=f"run {lease.run_id}",
    )
