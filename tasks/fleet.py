"""The fleet as a coordinator sees it: by adloom's own rows, never by Prefect's states."""

import structlog

from adloom.errors import ModelError
from adloom.fleet_builds import require_same_renderer
from adloom.records import RunLease, RunRecord, Submission, WorkerRecord
from db.queries import batches, reaping, run_leases, submissions, workers
from tasks.builds import own_build
from tasks.environment import Environment

log = structlog.get_logger(__name__)

GPU_POOL, CONTROL_POOL = "gpu", "control"
AT_ONCE = {GPU_POOL: 2, CONTROL_POOL: 14}
"""Flow runs that a worker takes at a time: one renders and one prepares; all that the deployments'
limits allow at once, so that the reaper always finds a place."""
PER_WORKER = 3
"""Submitted batches per worker: one renders, one prepares, one waits at hand."""
MAX_ATTEMPTS = 5
"""A batch that was claimed this often and never finished is failed, so that a run always ends."""


def size(env: Environment, run: RunRecord) -> int:
    """How many workers take batches of the run at the moment.

    Raises ModelError if there are workers and each of them has refused its model, and
    ConfigurationError if they render with another version than this process plans for.
    """
    model, weights_hash = run.spec.model, run.weights_hash or ""
    with env.database.transaction() as tx:
        there = workers.working(tx, env.workspace_id, GPU_POOL)
        refused = workers.refusals(tx, env.workspace_id, GPU_POOL, model, weights_hash)
        own = own_build()
        if workers.any_of_other_renderer(tx, env.workspace_id, GPU_POOL, own.renderer):
            require_same_renderer(own, workers.listed(tx, env.workspace_id, GPU_POOL))
    if refused and len(refused) >= there:
        raise ModelError(
            f"none of the {there} workers can render with it: {refused[0]}",
            where=f"model '{model}'",
            hint="give a worker these weights and restart it; the run is then gone on with",
        )
    return there - len(refused)


def listed(env: Environment) -> tuple[WorkerRecord, ...]:
    """All workers that were ever here, with what they last said of themselves."""
    with env.database.transaction() as tx:
        return workers.listed(tx, env.workspace_id)


def cut(env: Environment, lease: RunLease) -> None:
    """Cuts what the run needs and nobody has cut. Raises LeaseLostError."""
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        batches.cut(tx, lease.run_id, size=env.rendering.batch_size)


def to_submit(
    env: Environment, lease: RunLease, workers_now: int, *, of_others: bool
) -> tuple[Submission, ...]:
    """The batches that the window has room for, marked as submitted; call `submit` with them.

    `of_others`: also those that another run has cut and this one needs. Raises LeaseLostError.
    """
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        room = PER_WORKER * workers_now - submissions.under_way(tx, lease.run_id)
        if room <= 0:
            return ()
        chosen = submissions.mark(tx, lease.run_id, limit=room)
        if of_others and len(chosen) < room:
            more = submissions.mark_others(
                tx, env.workspace_id, lease.run_id, limit=room - len(chosen)
            )
            chosen = (*chosen, *more)
        return chosen


def reap(env: Environment, lease: RunLease) -> None:
    """Hands back what lost its worker, fails what did so too often. Raises LeaseLostError."""
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        counts = reaping.reap(tx, env.workspace_id, grace_s=env.rendering.lease_s)
        reaping.close_empty(tx, lease.run_id)
        batches.fail_exhausted(tx, env.workspace_id, max_attempts=MAX_ATTEMPTS)
    if counts.handed_back or counts.split or counts.failed:
        log.warning("batches lost their worker", handed_back=counts.handed_back,
                    split=counts.split, renders_failed=counts.failed)  # fmt: skip


def is_awaited(env: Environment, run_id: int) -> bool:
    """Whether any render of the run is still to come, here or elsewhere."""
    with env.database.transaction() as tx:
        return batches.is_awaited(tx, run_id)
