"""One run of a campaign, from plan to verdicts."""

import asyncio

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from adloom.errors import AdloomError
from adloom.records import RunRecord
from adloom.states import Trigger
from flows.generate_batch import generate_batch
from tasks import batching, reports, runs, steps
from tasks.artifacts import RunArtifacts
from tasks.environment import current


@flow(name="run-campaign", flow_run_name="{campaign}")
async def run_campaign(campaign: str, trigger: str = "manual") -> int:
    """Plans, renders what is missing, judges, reports. Returns the run's number.

    An interrupted run of the same campaign is gone on with. Calling it again is always safe.
    """
    env = current()
    run = await asyncio.to_thread(
        runs.begin, env, campaign, trigger=Trigger(trigger), flow_run_id=flow_run.id or None
    )
    await execute(run, plan=True)
    return run.id


async def execute(run: RunRecord, *, plan: bool) -> None:
    """Brings a run to its end, holding its lease. Raises what made it impossible, recorded."""
    env = current()
    with runs.held(env, run.id) as lease:
        try:
            if plan:
                await steps.plan_run(run.id)
            artifacts = RunArtifacts(env, run)
            await artifacts.start()
            again = True
            while again:
                await _render(run, artifacts)
                lease.check()
                await steps.finish_missing(run.id)
                await steps.judge(run.id)
                again = await asyncio.to_thread(runs.draw_again, env, run) > 0
            await asyncio.to_thread(runs.complete, env, run)
            await artifacts.report(await asyncio.to_thread(reports.run_report, env, run.id))
        except AdloomError as error:
            if not error.retryable:
                await asyncio.to_thread(runs.fail, env, run.id, error)
            raise


async def _render(run: RunRecord, artifacts: RunArtifacts) -> None:
    """Renders until none of the run's renders is to come, here or in another process."""
    env = current()
    while True:
        for batch in await asyncio.to_thread(batching.next_batches, env, run.id):
            try:
                await generate_batch(batch.id, run.spec.model)
            except AdloomError as error:
                # The batch is failed or handed back; its renders say so, and the run goes on.
                get_run_logger().warning("batch %s: %s", batch.id, error)
            await artifacts.progress()
        if not await asyncio.to_thread(batching.wait_for_others, env, run.id):
            return
