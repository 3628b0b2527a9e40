"""Runs: begun or gone on with, planned, judged, completed, cancelled, listed."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from adloom.campaign import Refresh
from adloom.errors import (
    AdloomError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidInputError,
    LeaseLostError,
)
from adloom.gates import (
    Decision,
    Reason,
    Verdict,
    detail_lock_reasons,
    gate_set_hash,
    judge,
)
from adloom.planning import PlannedItem, SkippedProduct
from adloom.records import (
    CancelCounts,
    ItemVerdict,
    JudgeItem,
    RejectedItem,
    RunLease,
    RunRecord,
    RunSummary,
)
from adloom.render_spec import seed_for
from adloom.states import (
    Disposition,
    Outcome,
    RenderState,
    ReviewDecision,
    RunState,
    Trigger,
)
from db.queries import batches, campaigns, cancelling, judging, run_leases, runs
from tasks import resident
from tasks.campaigns import estimate_of, planned
from tasks.catalog import chunks
from tasks.environment import Environment
from tasks.heartbeat import Heartbeat

CHUNK = 1000
ENDED = (RunState.COMPLETE, RunState.FAILED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run with its counts, as `adloom runs` lists it."""

    run: int
    campaign: str
    state: str
    trigger: str
    items: int
    new: int
    reused: int
    rendered: int
    approved: int
    needs_review: int
    rejected: int
    failed: int
    cancelled: int
    open: int
    started_at: datetime
    ended_at: datetime | None


def require_campaign(env: Environment, slug: str) -> None:
    """Raises NotFoundError naming near matches."""
    with env.database.transaction() as tx:
        campaigns.get(tx, env.workspace_id, slug)


def require_run(env: Environment, run_id: int) -> RunRecord:
    """The run, or NotFoundError."""
    with env.database.transaction() as tx:
        return runs.get(tx, env.workspace_id, run_id)


def begin(env: Environment, slug: str, *, trigger: Trigger, flow_run_id: str | None) -> RunRecord:
    """A new run of a campaign, or its last one if that was interrupted and nothing has changed.

    An interrupted run whose campaign or weights changed since is cancelled first: what it stored
    stays and is reused. Raises ConflictError while another process executes a run of the campaign.
    """
    with env.database.transaction() as tx:
        spec = campaigns.get(tx, env.workspace_id, slug).spec
    weights_hash = resident.identity(spec.model, env.rendering).weights_hash
    with env.database.transaction() as tx:
        last = runs.latest(tx, env.workspace_id, slug)
    lease = _claimed(env, last.id) if last is not None and last.state not in ENDED else None
    with env.database.transaction() as tx:
        if last is not None and lease is not None:
            now = runs.get(tx, env.workspace_id, last.id)  # it may have ended while we waited
            run_leases.release(tx, lease)
            if now.state not in ENDED:
                if now.spec == spec and now.weights_hash == weights_hash:
                    if flow_run_id:
                        runs.set_flow_run(tx, now.id, flow_run_id)
                    return now
                cancelling.cancel(tx, now.id)
        run_id = runs.create(
            tx,
            env.workspace_id,
            slug,
            trigger=trigger,
            weights_hash=weights_hash,
            flow_run_id=flow_run_id,
        )
        return runs.get(tx, env.workspace_id, run_id)


@contextmanager
def held(env: Environment, run_id: int) -> Iterator[Heartbeat[RunLease]]:
    """Holds the run's lease for the duration of the block. Raises ConflictError if it is taken."""
    lease = _claimed(env, run_id)

    def beat(held: RunLease) -> RunLease:
        with env.database.transaction() as tx:
            return run_leases.heartbeat(tx, held, env.rendering.lease_s)

    heartbeat = Heartbeat(lease, beat, every_s=env.rendering.lease_s / 3)
    try:
        with heartbeat:
            yield heartbeat
    finally:
        with suppress(LeaseLostError, DatabaseUnavailableError), env.database.transaction() as tx:
            run_leases.release(tx, heartbeat.lease)


def _claimed(env: Environment, run_id: int) -> RunLease:
    """The run's lease, waiting as long as that of a process that was killed can last."""
    deadline = time.monotonic() + env.rendering.lease_s + 1
    while True:
        with env.database.transaction() as tx:
            lease = run_leases.claim(tx, run_id, env.owner, env.rendering.lease_s)
        if lease is not None:
            return lease
        if time.monotonic() > deadline:
            raise ConflictError(
                f"run {run_id} is being executed by another process",
                hint=f"wait for it, or: adloom cancel {run_id}",
            )
        time.sleep(0.5)


def plan_run(env: Environment, run: RunRecord) -> int:
    """Plans a run into items and returns how many slots it has.

    Each chunk is committed by itself; what is there already is left as it is, so that planning can
    be gone on with. Raises InvalidInputError if there is nothing to make, or if the plan is beyond
    the campaign's budget: then nothing is planned.
    """
    _require_budget(env, run)
    skipped: Counter[str] = Counter()
    with env.database.transaction() as reading:
        for chunk in chunks(planned(reading, env, run.spec), CHUNK):
            left_out = [s for s in chunk if isinstance(s, SkippedProduct)]
            skipped.update(s.reason for s in left_out)
            with env.database.transaction() as writing:
                runs.record_skipped(writing, run.id, left_out)
                runs.add_items(writing, run.id, [i for i in chunk if isinstance(i, PlannedItem)])
    with env.database.transaction() as tx:
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


def _require_budget(env: Environment, run: RunRecord) -> None:
    limit = run.spec.budget.max_renders
    if limit is None:
        return
    needed = estimate_of(env, run.spec).to_render
    if needed > limit:
        raise InvalidInputError(
            f"the plan needs {needed} new renders, its budget is {limit}",
            where=f"campaign '{run.campaign}'",
            hint="raise budget.max_renders, or select fewer products, scenes or formats",
        )


def judge_run(env: Environment, run: RunRecord) -> dict[Outcome, int]:
    """Closes items whose renders ended badly, and judges the others by their stored scores."""
    revision = resident.scorer(env.rendering).revision
    with env.database.transaction() as tx:
        ended = Counter(judging.close_ended(tx, run.id))
        items = judging.judgeable(tx, run.id, scorer_revision=revision)
        verdicts = [ItemVerdict(i.run_item_id, verdict_of(i, run)) for i in items]
        judging.write_verdicts(tx, run.id, gate_set_hash(run.spec.gates), verdicts)
    ended.update(Outcome(v.verdict.decision.value) for v in verdicts)
    return dict(ended)


def verdict_of(item: JudgeItem, run: RunRecord) -> Verdict:
    """The verdict of one item: a person's review of this image, else the campaign's gates."""
    if item.review is ReviewDecision.APPROVE:
        return Verdict(Decision.APPROVED)
    extra: list[Reason] = []
    if item.review is ReviewDecision.REJECT:
        extra.append(Reason("REVIEW", "review", None, None, None))
    extra += detail_lock_reasons(
        item.details.get("detail_lock"),
        item.details.get("agreement"),
        min_agreement=run.spec.finishing_for(item.slot.format_slug).min_agreement,
    )
    return judge(item.scores, run.spec.gates, extra=extra)


def draw_again(env: Environment, run: RunRecord) -> int:
    """Gives rejected slots their next draw, as often as the campaign allows."""
    with env.database.transaction() as tx:
        rejected = judging.rejected(tx, run.id, below_draw=run.spec.draws)
        return judging.add_next_draws(tx, run.id, [next_draw(r, run) for r in rejected])


def next_draw(rejected: RejectedItem, run: RunRecord) -> PlannedItem:
    """The same slot with the next draw's seed."""
    slot, draw = rejected.slot, rejected.draw + 1
    seed = seed_for(
        rejected.spec.photo_sha256,
        slot.scene_slug,
        slot.format_slug,
        slot.variant,
        draw,
        campaign_seed=run.spec.seed,
    )
    return PlannedItem(slot, rejected.scene_version, draw, replace(rejected.spec, seed=seed))


def complete(env: Environment, run: RunRecord) -> RunSummary:
    """Ends a run whose every slot is judged or ended.

    Raises ConflictError if the counts do not add up: that would be an error of adloom's own.
    """
    with env.database.transaction() as tx:
        proof = runs.conservation(tx, run.id)
        if not proof.holds:
            raise ConflictError(f"the counts of run {run.id} do not add up: {proof}")
        runs.set_state(tx, run.id, RunState.COMPLETE)
        return runs.summary(tx, env.workspace_id, run.id)


def fail(env: Environment, run_id: int, error: AdloomError) -> None:
    """Ends a run that cannot go on, and its open items, with the reason."""
    with suppress(ConflictError), env.database.transaction() as tx:  # it may have been cancelled
        runs.fail_open(tx, run_id, error)
        runs.set_state(tx, run_id, RunState.FAILED, error=error)


def cancel(env: Environment, run_id: int) -> CancelCounts:
    """Cancels a run's open items, and the renders that no other run needs."""
    require_run(env, run_id)
    with env.database.transaction() as tx:
        return cancelling.cancel(tx, run_id)


def has_ended(env: Environment, run_id: int) -> bool:
    """Whether a run was ended, for example cancelled, while it was being executed."""
    return require_run(env, run_id).state in ENDED


def list_runs(env: Environment, limit: int) -> tuple[RunLine, ...]:
    with env.database.transaction() as tx:
        return tuple(run_line(s) for s in runs.list_runs(tx, env.workspace_id, limit=limit))


def run_line(summary: RunSummary) -> RunLine:
    run, outcomes = summary.run, summary.outcomes
    return RunLine(
        run=run.id,
        campaign=run.campaign,
        state=run.state.value,
        trigger=run.trigger.value,
        items=run.planned_slots,
        new=summary.dispositions.get(Disposition.NEW, 0),
        reused=summary.dispositions.get(Disposition.REUSED, 0),
        rendered=summary.renders.get(RenderState.RENDERED, 0),
        approved=outcomes.get(Outcome.APPROVED, 0),
        needs_review=outcomes.get(Outcome.NEEDS_REVIEW, 0),
        rejected=outcomes.get(Outcome.REJECTED, 0),
        failed=outcomes.get(Outcome.FAILED, 0),
        cancelled=outcomes.get(Outcome.CANCELLED, 0),
        open=outcomes.get(Outcome.OPEN, 0),
        started_at=run.created_at,
        ended_at=run.ended_at,
    )


def open_renders(env: Environment, run_id: int) -> int:
    """How many renders the run's open items have, whatever their state."""
    with env.database.transaction() as tx:
        return sum(batches.remaining(tx, run_id).values())


def in_flight(env: Environment, run_id: int) -> int:
    """How many renders of the run's open items are still to come, here or elsewhere."""
    with env.database.transaction() as tx:
        left = batches.remaining(tx, run_id)
    return left.get(RenderState.PENDING, 0) + left.get(RenderState.LEASED, 0)
