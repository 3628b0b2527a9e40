"""A run's plan: slots and renders, written chunk by chunk."""

from collections import Counter
from collections.abc import Sequence

from adloom.campaign import Refresh
from adloom.errors import InvalidInputError
from adloom.planning import PlannedItem, SkippedProduct
from adloom.records import RunLease, RunRecord
from adloom.states import RunState
from db.queries import run_leases, runs
from tasks.campaigns import estimate_of, planned
from tasks.catalog import chunks
from tasks.environment import Environment

CHUNK = 1000


def plan_run(env: Environment, lease: RunLease, run: RunRecord) -> int:
    """Plans a run into items and returns how many slots it has.

    Each chunk is committed by itself; what is there already is left as it is, so that planning can
    be gone on with. Raises LeaseLostError; ModelError if the weights are not those that the run
    began with; InvalidInputError if there is nothing to make, or if the plan is beyond the
    campaign's budget: then nothing is planned.
    """
    _require_budget(env, run)
    skipped: Counter[str] = Counter()
    with env.database.transaction() as reading:
        plan = planned(reading, env, run.spec, pinned=run.weights_hash)
        for chunk in chunks(plan, CHUNK):
            left_out = [s for s in chunk if isinstance(s, SkippedProduct)]
            skipped.update(s.reason for s in left_out)
            add_to_run(env, lease, [i for i in chunk if isinstance(i, PlannedItem)], left_out)
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        slots = runs.get(tx, env.workspace_id, run.id).planned_slots
        if not slots and run.spec.refresh is Refresh.ALL:
            why = ", ".join(f"{n} × {r}" for r, n in skipped.items()) or "no product is selected"
            raise InvalidInputError(
                f"nothing to make: {why}",
                where=f"campaign '{run.campaign}'",
                hint="see `adloom campaign plan` and `adloom catalog show`",
            )
        runs.set_state(tx, run.id, RunState.RENDERING)
    return slots


def add_to_run(
    env: Environment,
    lease: RunLease,
    items: Sequence[PlannedItem],
    skipped: Sequence[SkippedProduct] = (),
) -> None:
    """Writes a chunk of a run's plan. Raises LeaseLostError."""
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        runs.record_skipped(tx, lease.run_id, skipped)
        runs.add_items(tx, lease.run_id, items)


def _require_budget(env: Environment, run: RunRecord) -> None:
    limit = run.spec.budget.max_renders
    if limit is None:
        return
    needed = estimate_of(env, run.spec, pinned=run.weights_hash).to_render
    if needed > limit:
        raise InvalidInputError(
            f"the plan needs {needed} new renders, its budget is {limit}",
            where=f"campaign '{run.campaign}'",
            hint="raise budget.max_renders, or select fewer products, scenes or formats",
        )
