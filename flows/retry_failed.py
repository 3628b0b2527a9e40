"""Failed items of a run, opened again and run."""

import asyncio

from prefect import flow

from flows.run_campaign import carry_out
from tasks import retrying, runs
from tasks.environment import current


@flow(name="retry-failed", flow_run_name="retry-run-{run}")
async def retry_failed(run: int, error_class: str | None = None) -> int:
    """Opens a run's failed items, all or those of one error class, and runs them."""
    env = current()
    await asyncio.to_thread(runs.require_run, env, run)
    with runs.held(env, run) as lease:
        await asyncio.to_thread(retrying.reopen, env, lease.lease, error_class=error_class)
        await carry_out(lease)
    return run
