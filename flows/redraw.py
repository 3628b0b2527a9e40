"""A rejected creative, drawn once more."""

from prefect import flow

from flows.run_campaign import carry_out
from tasks import redrawing, retrying, runs
from tasks.environment import current
from tasks.patience import in_thread


@flow(name="redraw", flow_run_name="redraw-creative-{creative}")
async def redraw(creative: int) -> int:
    """Gives a rejected creative its next draw, and runs it within the run that rejected it.

    Returns the run. Nothing is opened where the run's weights are not at hand, and while another
    process executes the run.
    """
    env = current()
    run = (await in_thread(redrawing.require_rejected, env, creative)).run_id
    await in_thread(retrying.require_weights, env, run)
    with runs.held(env, run) as lease:
        await in_thread(redrawing.open_next_draw, env, lease.lease, creative)
        await carry_out(lease)
    return run
