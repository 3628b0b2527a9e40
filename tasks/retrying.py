"""Failed items, selected and opened again."""

from adloom.errors import NotFoundError
from adloom.records import ReopenCounts, RunLease
from db.queries import retrying, run_leases, runs
from tasks.environment import Environment


def reopen(env: Environment, lease: RunLease, *, error_class: str | None = None) -> ReopenCounts:
    """Opens a run's failed items again; their renders become pending, attempts kept.

    Raises LeaseLostError, and NotFoundError if nothing failed in the run (of that class).
    """
    run_id = lease.run_id
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        failed = retrying.failed_items(tx, env.workspace_id, run_id=run_id, error_class=error_class)
        if not failed and runs.go_on(tx, [run_id]):  # opened by a retry that was interrupted
            return ReopenCounts(0, 0, (run_id,))
        if not failed:
            kind = f" with {error_class}" if error_class else ""
            raise NotFoundError(f"no item of run {run_id} failed{kind}: there is nothing to retry")
        return retrying.reopen(tx, env.workspace_id, [f.run_item_id for f in failed])
