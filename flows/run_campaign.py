"""One run of a campaign, from plan to verdicts."""

import asyncio
from typing import Any, Literal

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from adloom.errors import AdloomError, HandedBackError, LeaseLostError, RunBusyError
from adloom.records import RunLease, RunRecord
from adloom.states import RunState, Trigger
from flows.generate_batch import generate_batch
from tasks import batching, judging, reports, runs, steps, stopping, watching
from tasks.artifacts import RunArtifacts
from tasks.environment import current
from tasks.following import Following
from tasks.heartbeat import Heartbeat
from tasks.logs import about
from tasks.patience import in_thread, outlast
from tasks.stopping import StopReason

BUSY_LOOK_S = 5.0


@flow(name="run-campaign", flow_run_name="{campaign}")
async def run_campaign(
    campaign: str,
    trigger: str = "manual",
    run: int | None = None,
    overlap: Literal["fail", "skip", "wait"] = "fail",
) -> int | State[Any]:
    """Plans, renders what is missing, judges, reports. Returns the run's number.

    An interrupted run of the same campaign is gone on with. Calling it again is always safe. Given
    the number of the `run` to go on with, it begins no other where that one has ended. `overlap`
    says what to do while another process executes a run of the campaign: raise RunBusyError, end as
    skipped, or wait for its end.
    """
    while True:
        try:
            return await _execute(campaign, Trigger(trigger), run)
        except RunBusyError as error:
            if overlap == "skip":
                get_run_logger().warning("skipped: %s", error)
                return Completed(name="Skipped", message=str(error))
            if overlap != "wait":
                raise
        stopping.current().check()
        await asyncio.sleep(BUSY_LOOK_S)


async def _execute(campaign: str, trigger: Trigger, run: int | None) -> int:
    env = current()
    begun = await in_thread(
        runs.begin, env, campaign, trigger=trigger, flow_run_id=flow_run.id or None, resumed=run
    )
    if begun.state in runs.ENDED:
        return begun.id
    with runs.held(env, begun.id) as lease:
        await carry_out(lease)
    return begun.id


async def carry_out(lease: Heartbeat[RunLease]) -> None:
    """Brings a run that is held to its end. Raises what made it impossible, recorded.

    A service that does not answer is waited for; so a restart of Postgres, Prefect or the object
    store ends no run.
    """
    env, run_id = current(), lease.lease.run_id
    run = await in_thread(runs.require_run, env, run_id)
    with about(run=run_id), watching.watched(env, run):
        await _carry_out(run, lease)


async def _carry_out(run: RunRecord, lease: Heartbeat[RunLease]) -> None:
    env = current()
    try:
        if run.state is RunState.PLANNING:
            await outlast(steps.plan_run, lease.lease)
        await _make(run, lease)
    except LeaseLostError:
        raise  # another process executes the run now: it is not ours to fail
    except HandedBackError:
        if stopping.current().reason is StopReason.CANCELLED:
            await in_thread(runs.cancel, env, run.id)
        raise
    except AdloomError as error:
        if not error.retryable and not error.of_installation:
            await in_thread(runs.fail, env, lease.lease, error)
        raise


async def _make(run: RunRecord, lease: Heartbeat[RunLease]) -> None:
    env = current()
    artifacts = RunArtifacts(env, run)
    await artifacts.start()
    open_before = None
    while True:
        await _render(run, lease, artifacts)
        lease.check()
        await outlast(steps.finish_missing, lease.lease)
        await outlast(steps.judge, lease.lease)
        if await in_thread(runs.has_ended, env, run.id):
            return
        drawn = await in_thread(judging.draw_again, env, lease.lease, run)
        still_open = await in_thread(runs.open_renders, env, run.id)
        if not still_open or (not drawn and still_open == open_before):
            break
        open_before = still_open
    await in_thread(runs.complete, env, lease.lease)
    await artifacts.report(await in_thread(reports.run_report, env, run.id))


async def _render(run: RunRecord, lease: Heartbeat[RunLease], artifacts: RunArtifacts) -> None:
    """Renders until none of the run's renders is to come, here or in another process."""
    following = Following(current(), run, lease)
    while await following.goes_on():
        if await following.has_fleet():
            more = await following.submit()
        else:
            more = await _render_here(run, lease, following)
        await artifacts.progress()
        if not more:
            return


async def _render_here(run: RunRecord, lease: Heartbeat[RunLease], following: Following) -> bool:
    """Renders what waits, batch by batch; False when no render of the run is to come."""
    env = current()
    if await following.is_spent():
        return await in_thread(batching.wait_for_others, env, run.id)
    for batch in await in_thread(batching.next_batches, env, lease.lease):
        if not await following.goes_on():
            return False
        if await following.is_spent():
            return True
        try:
            named = generate_batch.with_options(flow_run_name=f"batch-{batch.id}")
            await outlast(named, batch.id, run.spec.model)
        except AdloomError as error:
            if error.of_installation:
                raise  # the run stays as it is and is gone on with once that is mended
            # The batch is failed or handed back; its renders say so, and the run goes on.
            get_run_logger().warning("batch %s: %s", batch.id, error)
    return await in_thread(batching.wait_for_others, env, run.id)
