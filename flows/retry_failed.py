"""Failed items of runs, opened again and run."""

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from adloom.records import FailureFilter
from flows.run_campaign import carry_out
from tasks import retrying, runs
from tasks.environment import current
from tasks.one_by_one import one_by_one
from tasks.patience import in_thread


def _name() -> str:
    run, campaign = (flow_run.parameters.get(n) for n in ("run", "campaign"))
    return f"retry-run-{run}" if run else f"retry-{campaign or 'all'}"


@flow(name="retry-failed", flow_run_name=_name)
async def retry_failed(
    run: int | None = None,
    campaign: str | None = None,
    error_class: str | None = None,
    reason: str | None = None,
    older_than_s: float | None = None,
    newer_than_s: float | None = None,
    transient: bool = False,
    force: bool = False,
    items: list[int] | None = None,
) -> list[int]:
    """Opens a run's failed items, all or those for which the given conditions hold, and runs them;
    without a `run` those of each campaign's newest run, or of one campaign's. Returns the runs.

    See FailureFilter for what the conditions mean; `transient`: only what may succeed by itself;
    `force`: also what was tried too often. Nothing is opened where the run's weights are not at
    hand. Of several runs one that cannot be retried stops no other.
    """
    chosen = FailureFilter(
        error_class=error_class,
        reason=reason,
        older_than_s=older_than_s,
        newer_than_s=newer_than_s,
        retryable_only=transient,
        run_item_ids=None if items is None else tuple(items),
    )
    if run is not None:
        return [await _retry(run, chosen, force)]
    found = await in_thread(retrying.with_failures, current(), chosen, campaign)
    warn = get_run_logger().warning
    return list(await one_by_one(found, lambda one: _retry(one, chosen, force), warn))


async def _retry(run: int, chosen: FailureFilter, force: bool) -> int:
    env = current()
    await in_thread(retrying.require_weights, env, run)
    with runs.held(env, run) as lease:
        await in_thread(retrying.reopen, env, lease.lease, chosen, force=force)
        await carry_out(lease)
    return run
