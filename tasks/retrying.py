"""Failed items, selected and opened again."""

from dataclasses import replace

from adloom.errors import NotFoundError
from adloom.records import FailureFilter, ReopenCounts, RunLease
from adloom.states import RunState
from db.queries import retrying, run_leases, runs
from tasks import resident
from tasks.environment import Environment


def require_weights(env: Environment, run_id: int) -> None:
    """Raises ModelError if the weights at hand are not those that the run began with, NotFoundError
    if there is no such run or its weights are gone."""
    with env.database.transaction() as tx:
        run = runs.get(tx, env.workspace_id, run_id)
    at_hand = resident.identity(run.spec.model, env.rendering).weights_hash
    resident.require_pinned(run.weights_hash, at_hand, where=f"run {run_id}")


def reopen(env: Environment, lease: RunLease, chosen: FailureFilter) -> ReopenCounts:
    """Opens the chosen of a run's failed items again; their renders become pending, attempts kept.

    Raises LeaseLostError, and NotFoundError if nothing of that kind failed in the run.
    """
    run_id = lease.run_id
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        failed = retrying.failed_items(tx, env.workspace_id, replace(chosen, run_id=run_id))
        if not failed and runs.go_on(tx, [run_id]):  # opened by a retry that was interrupted
            return ReopenCounts(0, 0, (run_id,))
        if not failed:
            run = runs.get(tx, env.workspace_id, run_id)
            interrupted = run.state is RunState.PLANNING
            raise NotFoundError(
                f"no item of run {run_id} failed{_described(chosen)}: there is nothing to retry",
                hint=f"its planning was interrupted; go on with it: adloom run {run.campaign}"
                if interrupted
                else f"see `adloom report {run_id}`",
            )
        return retrying.reopen(tx, env.workspace_id, [f.run_item_id for f in failed])


def _described(chosen: FailureFilter) -> str:
    parts = [
        f" of the {len(chosen.run_item_ids)} chosen" if chosen.run_item_ids is not None else "",
        f" with {chosen.error_class}" if chosen.error_class else "",
        f" for a reason that says '{chosen.reason}'" if chosen.reason else "",
        f" more than {chosen.older_than_s:.0f} s ago" if chosen.older_than_s is not None else "",
        f" within the last {chosen.newer_than_s:.0f} s" if chosen.newer_than_s is not None else "",
    ]
    return "".join(parts)
