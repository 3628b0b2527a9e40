"""Verdicts on a run's items by their stored scores, and the next draws of the rejected."""

from collections import Counter
from dataclasses import replace

from adloom.gates import (
    Decision,
    Reason,
    Verdict,
    detail_lock_reasons,
    gate_set_hash,
    judge,
)
from adloom.planning import PlannedItem
from adloom.records import ItemVerdict, JudgeItem, RejectedItem, RunLease, RunRecord
from adloom.render_spec import seed_for
from adloom.states import Outcome, ReviewDecision
from db.queries import judging, run_leases
from tasks.budgets import BudgetWatch
from tasks.environment import Environment

PAGE_ROWS = 500


def judge_run(
    env: Environment,
    lease: RunLease,
    run: RunRecord,
    *,
    scorer_revision: str,
    page_rows: int = PAGE_ROWS,
) -> dict[Outcome, int]:
    """Closes items whose renders ended badly, and judges the others by their stored scores.

    Each page of items is committed by itself. Raises LeaseLostError.
    """
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        ended = Counter(judging.close_ended(tx, run.id))
    after = 0
    while True:
        with env.database.transaction() as tx:
            run_leases.hold(tx, lease)
            items = judging.judgeable(
                tx, run.id, scorer_revision=scorer_revision, after=after, limit=page_rows
            )
            verdicts = [ItemVerdict(i.run_item_id, verdict_of(i, run)) for i in items]
            judging.write_verdicts(tx, run.id, gate_set_hash(run.spec.gates), verdicts)
        if not items:
            return dict(ended)
        ended.update(Outcome(v.verdict.decision.value) for v in verdicts)
        after = items[-1].creative_id


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


def draw_again(
    env: Environment, lease: RunLease, run: RunRecord, *, page_rows: int = PAGE_ROWS
) -> int:
    """Gives rejected slots their next draw, as often as the campaign allows; returns how many.

    A run whose budget is spent forgoes them. Each page of slots is committed by
    itself. Raises LeaseLostError.
    """
    drawn = after = 0
    budget = BudgetWatch(env, run)
    while True:
        with env.database.transaction() as tx:
            run_leases.hold(tx, lease)
            rejected = judging.rejected(
                tx, run.id, below_draw=run.spec.draws, after=after, limit=page_rows
            )
            if rejected and budget.forgoes(tx):
                return drawn
            drawn += judging.add_next_draws(tx, run.id, [next_draw(r, run) for r in rejected])
        if not rejected:
            return drawn
        after = rejected[-1].creative_id


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
