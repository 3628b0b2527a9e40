"""A rejected creative, drawn once more because a person wants it."""

from adloom.errors import ConflictError
from adloom.records import CreativeView, RunLease
from adloom.states import Outcome
from db.queries import creatives, judging, run_leases, runs
from tasks.environment import Environment
from tasks.judging import next_draw


def require_rejected(env: Environment, creative_id: int) -> CreativeView:
    """The creative as it stands, if it can be drawn again.

    Raises NotFoundError, and ConflictError where its newest draw is not rejected or it must not be
    used.
    """
    with env.database.transaction() as tx:
        view = creatives.get(tx, env.workspace_id, creative_id)
    where = f"creative {creative_id}"
    if view.withdrawn is not None:
        raise ConflictError(f"it is not made any more: {view.withdrawn}", where=where)
    if view.outcome is not Outcome.REJECTED:
        raise ConflictError(
            f"its newest draw is {view.outcome.value.replace('_', ' ')}, not rejected",
            where=where,
            hint="reject it first" if view.rendition else f"see `adloom report {view.run_id}`",
        )
    return view


def open_next_draw(env: Environment, lease: RunLease, creative_id: int) -> int:
    """Gives a rejected creative its next draw, whatever number of draws its campaign allows; the
    run is live again. Returns the draw (0 is the first).

    Raises LeaseLostError, and ConflictError where it is no longer rejected in this run.
    """
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        run = runs.get(tx, env.workspace_id, lease.run_id)
        rejected = [
            r
            for r in judging.rejected(
                tx, run.id, below_draw=1 << 31, after=creative_id - 1, limit=1
            )
            if r.creative_id == creative_id
        ]
        if not rejected:
            raise ConflictError(
                f"it is not rejected in run {run.id}", where=f"creative {creative_id}"
            )
        drawn = next_draw(rejected[0], run)
        judging.add_next_draws(tx, run.id, [drawn])
        runs.go_on(tx, [run.id])
    return drawn.draw
