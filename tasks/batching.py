"""Which batches a run renders next."""

import time

from adloom.records import BatchRecord, RunLease
from adloom.states import BatchState, RenderState
from db.queries import batches, reaping, run_leases
from tasks.environment import Environment
from tasks.fleet import MAX_ATTEMPTS

POLL_S = 1.0


def next_batches(env: Environment, lease: RunLease) -> tuple[BatchRecord, ...]:
    """Batches that this run may render now: newly cut, handed back, or left by a dead worker.

    Raises LeaseLostError.
    """
    run_id = lease.run_id
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        reaping.reap(tx, env.workspace_id, grace_s=env.rendering.lease_s)
        reaping.close_empty(tx, run_id)
        batches.fail_exhausted(tx, env.workspace_id, max_attempts=MAX_ATTEMPTS)
        batches.cut(tx, run_id, size=env.rendering.batch_size)
        needed = batches.needed_by(tx, run_id)
    return tuple(b for b in needed if b.state is BatchState.PENDING)


def wait_for_others(env: Environment, run_id: int) -> bool:
    """Waits a moment for renders that another worker makes; False if there are none to wait for."""
    with env.database.transaction() as tx:
        left = batches.remaining(tx, run_id)
    if not left.get(RenderState.PENDING, 0) + left.get(RenderState.LEASED, 0):
        return False
    time.sleep(POLL_S)
    return True
