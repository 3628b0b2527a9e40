"""A run's plan, written: what `tasks.planned` gives becomes run items and renders."""

from collections import Counter

from adloom.campaign import Refresh
from adloom.errors import InvalidInputError
from adloom.records import RunLease, RunRecord
from adloom.states import RunState
from db.queries import (
    known_slots,
    run_leases,
    runs,
)
from tasks.behind import behind
from tasks.environment import Environment
from tasks.estimates import estimate_of
from tasks.planned import PlanChunk, planned

WRITERS = 2
"""One adds items to the run, which it locks; the other copies its rows meanwhile."""


def plan_run(env: Environment, lease: RunLease, run: RunRecord) -> int:
    """Plans a run into items and returns how many slots it has.

    Each chunk is committed by itself; what is there already is left as it is, so that planning can
    be gone on with. Raises LeaseLostError; ModelError if the weights are not those that the run
    began with; InvalidInputError if there is nothing to make, or if the plan is beyond the
    campaign's budget: then nothing is planned.
    """
    _require_budget(env, run)
    skipped: Counter[str] = Counter()
    plan = planned(env, run.spec, pinned=run.weights_hash, campaign_id=run.campaign_id)
    # Postgres stores a chunk, and is sent another, while the next one is planned.
    made = ((chunk, runs.SlotRows.of(run.spec, chunk.due, chunk.not_due)) for chunk in plan)
    written = behind(
        lambda one, _: store(env, lease, *one), made, at_once=WRITERS, name="store-plan"
    )
    for chunk in written:
        skipped.update(s.reason for s in chunk.skipped)
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


def store(env: Environment, lease: RunLease, chunk: PlanChunk, rows: runs.SlotRows) -> PlanChunk:
    """Writes a chunk of a run's plan, `rows` of its planned slots. Raises LeaseLostError."""
    with env.database.transaction() as tx:
        if rows.rows:
            runs.stage_slots(tx, rows)
        runs.lock_run(tx, lease.run_id)
        run_leases.hold(tx, lease)
        runs.record_skipped(tx, lease.run_id, chunk.skipped)
        if chunk.known:
            known_slots.add(tx, lease.run_id, chunk.wanted, known=chunk.known)
        if rows.rows:
            runs.add_items(tx, lease.run_id, rows, staged=True)
    return chunk


def _require_budget(env: Environment, run: RunRecord) -> None:
    limit = run.spec.budget.max_renders
    if limit is None:
        return
    needed = estimate_of(
        env, run.spec, pinned=run.weights_hash, campaign_id=run.campaign_id
    ).to_render
    if needed > limit:
        raise InvalidInputError(
            f"the plan needs {needed} new renders, its budget is {limit}",
            where=f"campaign '{run.campaign}'",
            hint="raise budget.max_renders, or select fewer products, scenes or formats",
        )
