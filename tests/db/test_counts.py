"""Whatever happens to a run, its slots add up: nothing is lost, nothing is counted twice."""

import uuid
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adloom.errors import ConflictError, ModelError, NotFoundError, RenderError
from adloom.planning import SkippedProduct
from adloom.records import FailureFilter, ItemVerdict
from adloom.states import Outcome, RenderState, ReviewDecision, RunState, Trigger
from db.engine import Database
from db.queries import (
    batches,
    cancelling,
    creatives,
    judging,
    leases,
    renditions,
    retrying,
    reviews,
    runs,
)
from tests.db.world import APPROVED, REVISION, World, campaign


def outcomes(world: World, run_id: int) -> dict[Outcome, int]:
    """The run's counts, which must add up to its plan."""
    with world.database.transaction() as tx:
        assert runs.conservation(tx, run_id).holds
        summary = runs.summary(tx, world.ws, run_id)
    assert sum(summary.outcomes.values()) == summary.run.planned_slots
    assert sum(summary.dispositions.values()) == summary.run.planned_slots
    return dict(summary.outcomes)


def test_planning_a_run_twice_adds_nothing(world: World) -> None:
    spec = campaign()
    run_id = world.run(spec)
    items = world.planned(spec)
    with world.database.transaction() as tx:
        again = runs.add_items(tx, run_id, items)
        assert runs.conservation(tx, run_id).slots == len(items) == 12
    assert (again.slots, again.new, again.reused) == (0, 0, 0)


def test_a_run_that_ended_takes_no_more_items(world: World) -> None:
    spec = campaign()
    run_id = world.run(spec)
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.FAILED, error=RenderError("broken"))
        failed = runs.get(tx, world.ws, run_id)
    assert (failed.error_class, failed.error_message) == ("RenderError", "broken")
    assert failed.ended_at is not None
    items = world.planned(spec)
    with pytest.raises(ConflictError, match="has ended"), world.database.transaction() as tx:
        runs.add_items(tx, run_id, items)


def test_existing_renders_are_known_by_fingerprint_before_a_run(world: World) -> None:
    items = world.planned(campaign())
    prints = [i.spec.fingerprint for i in items]
    with world.database.transaction() as tx:
        assert runs.existing(tx, world.ws, prints) == {}
    world.render_all(world.run(campaign()))
    with world.database.transaction() as tx:
        assert runs.existing(tx, world.ws, prints) == dict.fromkeys(prints, RenderState.RENDERED)


def test_failures_keep_class_message_and_attempts_and_a_retry_makes_only_those(
    world: World,
) -> None:
    run_id = world.run(campaign())
    world.render_all(run_id, fails=lambda n: n <= 3)
    world.judge(run_id)
    assert outcomes(world, run_id) == {Outcome.APPROVED: 9, Outcome.FAILED: 3}

    with world.database.transaction() as tx:
        assert retrying.failed_items(tx, world.ws, FailureFilter(error_class="ModelError")) == ()
        assert retrying.failed_items(tx, world.ws, FailureFilter(reason="no such words")) == ()
        assert retrying.failed_items(tx, world.ws, FailureFilter(run_id, older_than_s=3600)) == ()
        failed = retrying.failed_items(
            tx,
            world.ws,
            FailureFilter(
                run_id, "RenderError", "No Picture", newer_than_s=3600, retryable_only=True
            ),
        )
        by_class = FailureFilter(run_id, reason="rendererror")
        assert retrying.failed_items(tx, world.ws, by_class) == failed
        assert {(f.error_message, f.attempts) for f in failed} == {("no picture", 1)}
        runs.set_state(tx, run_id, RunState.COMPLETE)
        counts = retrying.reopen(tx, world.ws, [f.run_item_id for f in failed])
        assert (counts.items, counts.renders, counts.runs) == (3, 3, (run_id,))
        assert runs.get(tx, world.ws, run_id).state is RunState.RENDERING
        assert retrying.reopen(tx, world.ws, [f.run_item_id for f in failed]).items == 0
    assert outcomes(world, run_id) == {Outcome.APPROVED: 9, Outcome.OPEN: 3}

    assert world.render_all(run_id) == 3
    world.judge(run_id)
    assert outcomes(world, run_id) == {Outcome.APPROVED: 12}


def test_a_new_run_meets_failed_renders_as_failed_unless_it_asks_for_them(world: World) -> None:
    first = world.run(campaign())
    world.render_all(first, fails=lambda n: n == 1, retryable=False)
    world.judge(first)

    nightly = world.run(campaign())
    assert world.render_all(nightly) == 0
    world.judge(nightly)
    assert outcomes(world, nightly) == {Outcome.APPROVED: 11, Outcome.FAILED: 1}

    asking = world.run(campaign(), reset_failed=True)
    assert world.render_all(asking) == 1


def test_a_new_run_tries_again_what_failed_for_want_of_a_service(world: World) -> None:
    first = world.run(campaign())
    world.render_all(first, fails=lambda n: n == 1, retryable=True)
    world.judge(first)

    nightly = world.run(campaign())
    assert world.render_all(nightly) == 1
    world.judge(nightly)
    assert outcomes(world, nightly) == {Outcome.APPROVED: 12}


def test_a_run_with_open_items_is_neither_completed_nor_ended_twice(world: World) -> None:
    run_id = world.run(campaign())
    with (
        pytest.raises(ConflictError, match="open items"),
        world.database.transaction() as tx,
    ):
        runs.set_state(tx, run_id, RunState.COMPLETE)
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.FAILED, error=RenderError("broken"))
    with pytest.raises(ConflictError, match="has ended"), world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.COMPLETE)
    with world.database.transaction() as tx:
        assert runs.go_on(tx, [run_id]) == (run_id,)
        assert runs.get(tx, world.ws, run_id).state is RunState.RENDERING


def test_a_render_made_by_another_run_meanwhile_is_only_judged_on_retry(world: World) -> None:
    first = world.run(campaign())
    world.render_all(first, fails=lambda n: n == 1)
    world.judge(first)
    world.render_all(world.run(campaign("summer"), reset_failed=True))

    with world.database.transaction() as tx:
        failed = retrying.failed_items(tx, world.ws, FailureFilter(first))
        counts = retrying.reopen(tx, world.ws, [f.run_item_id for f in failed])

    assert (counts.items, counts.renders) == (1, 0)
    world.finish_all(first)
    world.judge(first)
    assert outcomes(world, first) == {Outcome.APPROVED: 12}


def test_a_failed_batch_fails_what_it_has_not_made(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    batch_id = world.cut(run_id)[0]
    lease = world.claimed(batch_id)
    with world.database.transaction() as tx:
        leases.fail(tx, lease, ModelError("bad\x00weights"))
        assert batches.get(tx, batch_id).error_message == "badweights"
    world.judge(run_id)
    assert outcomes(world, run_id) == {Outcome.FAILED: 6}
    with world.database.transaction() as tx:
        assert runs.summary(tx, world.ws, run_id).errors == {"ModelError": 6}


def test_a_finishing_that_failed_ends_its_items_and_can_be_tried_again(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    world.render_all(run_id)
    spec = campaign(formats=("1:1",))
    other = replace(spec, finishing=replace(spec.finishing, quality=50))
    again = world.run(other)
    with world.database.transaction() as tx:
        work = renditions.unfinished(tx, again, scorer_revision=REVISION).work
        assert len(work) == 6
        assert all(w.model_scored and not w.final_scored and w.rendition is None for w in work)
        assert {w.finishing.quality for w in work} == {50}
        renditions.record_failure(
            tx, work[0].render_id, work[0].finishing.finish_hash, error_class="RenderError",
            message="no mask", retryable=True,
        )  # fmt: skip
        assert len(renditions.unfinished(tx, again, scorer_revision=REVISION).work) == 5
    world.finish_all(again)
    world.judge(again)
    assert outcomes(world, again) == {Outcome.APPROVED: 5, Outcome.FAILED: 1}

    with world.database.transaction() as tx:
        failed = retrying.failed_items(tx, world.ws, FailureFilter(again))
        assert retrying.reopen(tx, world.ws, [f.run_item_id for f in failed]).renders == 0
    assert world.finish_all(again) == 1
    world.judge(again)
    assert outcomes(world, again) == {Outcome.APPROVED: 6}


def test_rejected_slots_are_drawn_again_as_often_as_the_campaign_allows(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",), draws=2))
    world.render_all(run_id)
    world.judge(run_id, rejects=lambda n: n < 2)
    assert outcomes(world, run_id) == {Outcome.APPROVED: 4, Outcome.REJECTED: 2}

    assert world.draw_again(run_id, 2) == 2
    assert world.draw_again(run_id, 2) == 0

    assert outcomes(world, run_id) == {Outcome.APPROVED: 4, Outcome.OPEN: 2}
    assert world.render_all(run_id) == 2
    world.judge(run_id, rejects=lambda _: True)
    assert world.draw_again(run_id, 2) == 0
    assert outcomes(world, run_id) == {Outcome.APPROVED: 4, Outcome.REJECTED: 2}
    with world.database.transaction() as tx:
        summary = runs.summary(tx, world.ws, run_id)
    assert (summary.superseded, summary.reasons) == (2, {"MODEL_IDENTITY": 2})


def test_changed_gates_judge_stored_scores_again_and_render_nothing(world: World) -> None:
    first = world.run(campaign())
    world.render_all(first)
    world.judge(first)
    second = world.run(campaign(min_mask_confidence=0.4))
    assert world.render_all(second) == 0
    world.judge(second, rejects=lambda n: n == 0)
    assert outcomes(world, second) == {Outcome.APPROVED: 11, Outcome.REJECTED: 1}
    assert outcomes(world, first) == {Outcome.APPROVED: 12}


def test_verdicts_leave_ended_items_alone(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    world.render_all(run_id)
    with world.database.transaction() as tx:
        items = judging.judgeable(tx, run_id, scorer_revision=REVISION)
        assert items[0].scores == {
            "model.identity": 0.8, "model.sharpness": 0.5,
            "final.identity": 0.8, "final.sharpness": 0.5,
        }  # fmt: skip
        cancelling.cancel(tx, run_id)
        judging.write_verdicts(
            tx, run_id, "g", [ItemVerdict(i.run_item_id, APPROVED) for i in items]
        )
    assert outcomes(world, run_id) == {Outcome.CANCELLED: 6}


def test_a_review_reaches_the_judging_of_its_image_only(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    world.render_all(run_id)
    world.judge(run_id)
    with world.database.transaction() as tx:
        view = next(iter(creatives.of_run(tx, run_id)))
        assert view.rendition is not None
        for decision in (ReviewDecision.APPROVE, ReviewDecision.REJECT):
            reviews.add(
                tx, world.ws, view.creative_id, image_sha256=view.rendition.sha256,
                reviewer="ann", decision=decision, reason="off brand",
            )  # fmt: skip
        reviews.add(
            tx, world.ws, view.creative_id, image_sha256="another image", reviewer="ann",
            decision=ReviewDecision.APPROVE,
        )  # fmt: skip
        judged = judging.judgeable(tx, run_id, scorer_revision=REVISION, include_judged=True)
        assert len(reviews.of_creative(tx, view.creative_id)) == 3
    assert Counter(j.review for j in judged) == {None: 5, ReviewDecision.REJECT: 1}
    with pytest.raises(NotFoundError), world.database.transaction() as tx:
        reviews.add(
            tx, world.ws, 10**9, image_sha256="x", reviewer="a", decision=ReviewDecision.APPROVE
        )


def test_skipped_products_are_counted_by_reason(world: World) -> None:
    run_id = world.run(campaign())
    product = world.planned(campaign())[0].slot.product_id
    skipped = [SkippedProduct(product, "p0", "MASK_NOT_TRUSTED", "0.3 is below 0.5")]
    with world.database.transaction() as tx:
        runs.record_skipped(tx, run_id, skipped)
        runs.record_skipped(tx, run_id, skipped)
        assert runs.summary(tx, world.ws, run_id).skipped == {"MASK_NOT_TRUSTED": 1}


def test_runs_are_listed_newest_first_by_campaign(world: World) -> None:
    ids = [world.run(campaign("spring")), world.run(campaign("summer"))]
    with world.database.transaction() as tx:
        assert [s.run.id for s in runs.list_runs(tx, world.ws)] == ids[::-1]
        assert [s.run.id for s in runs.list_runs(tx, world.ws, campaign="spring")] == ids[:1]
        newest = runs.latest(tx, world.ws)
        assert newest is not None
        assert (newest.id, newest.spec, newest.trigger) == (
            ids[1],
            campaign("summer"),
            Trigger.MANUAL,
        )
        assert runs.latest(tx, world.ws, "autumn") is None
    with pytest.raises(NotFoundError), world.database.transaction() as tx:
        runs.get(tx, world.ws, 10**9)


STEPS = st.lists(
    st.sampled_from(["render", "fail", "judge", "reject", "draw", "retry", "cancel", "steal"]),
    max_size=6,
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_counts_add_up_after_any_sequence_of_events(
    shared_database: Database, steps: list[str]
) -> None:
    world = World.open(shared_database, f"any-{uuid.uuid4().hex[:12]}")
    world.add_products(3)
    spec = campaign(formats=("1:1",), draws=3)
    run_id, other = world.run(spec), world.run(replace(spec, slug="other"))
    for step in steps:
        match step:
            case "render":
                world.render_all(run_id)
            case "fail":
                world.render_all(run_id, fails=lambda n: n % 2 == 0)
            case "judge":
                world.judge(run_id)
            case "reject":
                world.judge(run_id, rejects=lambda n: n % 2 == 0)
            case "draw":
                if _live(world, run_id):
                    world.draw_again(run_id, 3)
            case "retry":
                with world.database.transaction() as tx:
                    failed = retrying.failed_items(tx, world.ws, FailureFilter(run_id))
                    retrying.reopen(tx, world.ws, [f.run_item_id for f in failed])
            case "cancel":
                with world.database.transaction() as tx:
                    cancelling.cancel(tx, run_id)
            case _:
                for batch_id in world.cut(other, 2):
                    world.claimed(batch_id)
                    world.expire(batch_id)
        outcomes(world, run_id)
        assert outcomes(world, other) == {Outcome.OPEN: 6}
        with world.database.transaction() as tx:
            assert RenderState.CANCELLED not in batches.remaining(tx, other)


def _live(world: World, run_id: int) -> bool:
    with world.database.transaction() as tx:
        return runs.get(tx, world.ws, run_id).state is RunState.RENDERING
