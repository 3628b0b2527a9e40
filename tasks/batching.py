"""Which batches a run renders next."""

import time

from adloom.records import BatchRecord
from adloom.states import BatchState, RenderState
from db.queries import batches
from tasks.environment import Environment

MAX_ATTEMPTS = 5
"""A batch that was claimed this often and never finished is failed, so that a run always ends."""

POLL_S = 1.0


def next_batches(env: Environment, run_id: int) -> tuple[BatchRecord, ...]:
    """Batches that this run may render now: newly cut, handed back, or left by a dead worker."""
    with env.database.transaction() as tx:
        batches.fail_exhausted(tx, env.workspace_id, max_attempts=MAX_ATTEMPTS)
        batches.cut(tx, run_id, size=env.rendering.batch_size)
        needed = batches.needed_by(tx, run_id)
    return tuple(b for b in needed if b.state is BatchState.PENDING or b.expired)


def wait_for_others(env: Environment, run_id: int) -> bool:
    """Waits a moment for renders that another worker makes; False if there are none to wait for."""
    with env.database.transaction() as tx:
        left = batches.remaining(tx, run_id)
    if not left.get(RenderState.PENDING, 0) + left.get(RenderState.LEASED, 0):
        return False
    time.sleep(POLL_S)
    return True


def record_flow_run(env: Environment, batch_id: int, flow_run_id: str) -> None:
    with env.database.transaction() as tx:
        batches.set_flow_run(tx, batch_id, flow_run_id)
