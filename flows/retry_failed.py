"""Failed items of a run, opened again and run."""

from prefect import flow

from adloom.records import FailureFilter
from flows.run_campaign import carry_out
from tasks import retrying, runs
from tasks.environment import current
from tasks.patience import in_thread


@flow(name="retry-failed", flow_run_name="retry-run-{run}")
async def retry_failed(
    run: int,
    error_class: str | None = None,
    reason: str | None = None,
    older_than_s: float | None = None,
    newer_than_s: float | None = None,
    items: list[int] | None = None,
) -> int:
    """Opens a run's failed items, all or those for which the given conditions hold, and runs them.

    See FailureFilter for what the conditions mean. Nothing is opened where the run's weights are
    not at hand.
    """
    chosen = FailureFilter(
        error_class=error_class,
        reason=reason,
        older_than_s=older_than_s,
        newer_than_s=newer_than_s,
        run_item_ids=None if items is None else tuple(items),
    )
    env = current()
    await in_thread(retrying.require_weights, env, run)
    with runs.held(env, run) as lease:
        await in_thread(retrying.reopen, env, lease.lease, chosen)
        await carry_out(lease)
    return run
