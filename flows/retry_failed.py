"""Failed items of a run, opened again and run."""

import asyncio

from prefect import flow

from adloom.states import RunState
from flows.run_campaign import execute
from tasks import retrying, runs
from tasks.environment import current


@flow(name="retry-failed", flow_run_name="retry-run-{run}")
async def retry_failed(run: int, error_class: str | None = None) -> int:
    """Opens a run's failed items, all or those of one error class, and runs them."""
    env = current()
    await asyncio.to_thread(retrying.reopen, env, run, error_class=error_class)
    record = await asyncio.to_thread(runs.require_run, env, run)
    await execute(record, plan=record.state is RunState.PLANNING)
    return run
