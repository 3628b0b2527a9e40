"""Renders are made once, by whoever needs them; a worker without its lease changes nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adloom.errors import LeaseLostError, RenderError
from adloom.records import FailureFilter, Lease
from adloom.scores import Scores, Stage
from adloom.states import AttemptEnding, BatchState, RenderState
from db.engine import Transaction
from db.queries import (
    batches,
    cancelling,
    leases,
    reaping,
    renditions,
    retrying,
    run_leases,
    runs,
    scores,
)
from tests.db.world import World, campaign, record, stored


def test_a_run_renders_each_render_once_and_a_second_run_renders_nothing(world: World) -> None:
    first = world.run(campaign())
    assert world.render_all(first) == 12
    world.judge(first)

    second = world.run(campaign())

    assert world.cut(second) == []
    world.judge(second)
    with world.database.transaction() as tx:
        summary = runs.summary(tx, world.ws, second)
    assert summary.dispositions == {"reused": 12}
    assert summary.outcomes == {"approved": 12}


def test_two_runs_share_pending_renders(world: World) -> None:
    spring, summer = world.run(campaign("spring")), world.run(campaign("summer"))
    assert len(world.cut(spring)) == 2  # two native sizes

    assert world.cut(summer) == []
    with world.database.transaction() as tx:
        shared = batches.needed_by(tx, summer)
    assert {b.run_id for b in shared} == {spring}


def test_two_coordinators_cutting_at_once_cut_each_render_once(world: World) -> None:
    run_ids = [world.run(campaign("spring")), world.run(campaign("summer"))]

    with ThreadPoolExecutor(4) as pool:
        cuts = list(pool.map(world.cut, run_ids * 2, [2] * 4))

    made = [world.claimed(batch_id) for batch_ids in cuts for batch_id in batch_ids]
    with world.database.transaction() as tx:
        work = [w.render_id for lease in made for w in leases.work(tx, lease)]
    assert len(work) == len(set(work)) == 12


def test_a_batch_has_one_native_size_and_keeps_references_together(world: World) -> None:
    run_id = world.run(campaign())
    with world.database.transaction() as tx:
        cut = batches.cut(tx, run_id, size=4)
    assert sorted(b.renders for b in cut) == [2, 2, 4, 4]
    for batch in cut:
        lease = world.claimed(batch.id)
        with world.database.transaction() as tx:
            work = leases.work(tx, lease)
        assert len({w.spec.native for w in work}) == 1
        photos = [w.spec.photo_sha256 for w in work]
        assert photos == sorted(photos)
        assert all(w.finishings for w in work)


def test_of_many_that_claim_one_batch_one_gets_it(world: World) -> None:
    batch_id = world.cut(world.run(campaign()))[0]

    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(lambda n: world.claim(batch_id, f"worker-{n}"), range(12)))

    assert len([c for c in claims if c is not None]) == 1


def test_an_expired_lease_is_taken_over_and_fences_the_first_worker(world: World) -> None:
    batch_id = world.cut(world.run(campaign()))[0]
    stale = world.claimed(batch_id, "slow")
    with world.database.transaction() as tx:
        work = leases.work(tx, stale)
        leases.mark_rendered(tx, stale, work[0].render_id, stored(work[0].render_id))
    world.expire(batch_id)

    fresh = world.claimed(batch_id, "fast")

    assert fresh.epoch == stale.epoch + 1
    with world.database.transaction() as tx:
        assert [w.render_id for w in leases.work(tx, fresh)] == [w.render_id for w in work[1:]]


_RAW = Scores(Stage.MODEL, "1", {"identity": 1.0})
_ERROR: dict[str, Any] = {"error_class": "RenderError", "message": "no picture", "retryable": False}

WRITES: dict[str, Callable[[Transaction, Lease, int], object]] = {
    "work": lambda tx, lease, _: leases.work(tx, lease),
    "heartbeat": lambda tx, lease, _: leases.heartbeat(tx, lease, 60),
    "mark_rendered": lambda tx, lease, r: leases.mark_rendered(tx, lease, r, stored(r)),
    "mark_failed": lambda tx, lease, r: leases.mark_failed(tx, lease, r, **_ERROR),
    "release": lambda tx, lease, _: leases.release(tx, lease),
    "finish": lambda tx, lease, _: leases.finish(tx, lease),
    "fail": lambda tx, lease, _: leases.fail(tx, lease, RenderError("no picture")),
    "score": lambda tx, lease, r: scores.put(tx, r, _RAW, finish_hash=None, lease=lease),
    "finishing failed": lambda tx, lease, r: renditions.record_failure(
        tx, r, "f", **_ERROR, lease=lease
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_stale_epoch_writes_nothing(
    world: World, write: Callable[[Transaction, Lease, int], object]
) -> None:
    run_id = world.run(campaign())
    batch_id = world.cut(run_id)[0]
    stale = world.claimed(batch_id, "slow")
    world.expire(batch_id)
    fresh = world.claimed(batch_id, "fast")
    with world.database.transaction() as tx:
        before = leases.work(tx, fresh)

    with pytest.raises(LeaseLostError), world.database.transaction() as tx:
        write(tx, stale, before[0].render_id)

    with world.database.transaction() as tx:
        assert leases.work(tx, fresh) == before
        assert batches.get(tx, batch_id).state is BatchState.LEASED
        assert scores.of(tx, [before[0].render_id]) == {}


def test_a_write_that_holds_the_fence_delays_the_next_claim_until_its_commit(world: World) -> None:
    batch_id = world.cut(world.run(campaign()))[0]
    lease = world.claimed(batch_id, "slow")
    world.expire(batch_id)
    with ThreadPoolExecutor(1) as pool:
        with world.database.transaction() as tx:
            render_id = leases.work(tx, lease)[0].render_id
            leases.mark_rendered(tx, lease, render_id, stored(render_id))
            claiming = pool.submit(world.claimed, batch_id, "fast")
            with pytest.raises(TimeoutError):
                claiming.result(timeout=0.2)
        fresh = claiming.result(timeout=10)

    with world.database.transaction() as tx:
        assert render_id not in {w.render_id for w in leases.work(tx, fresh)}


def test_saying_twice_that_a_render_is_made_does_nothing(world: World) -> None:
    run_id = world.run(campaign())
    lease = world.claimed(world.cut(run_id)[0])
    with world.database.transaction() as tx:
        render_id = leases.work(tx, lease)[0].render_id
    for _ in range(2):
        with world.database.transaction() as tx:
            leases.mark_rendered(tx, lease, render_id, stored(render_id))
    with world.database.transaction() as tx:
        assert batches.remaining(tx, run_id)[RenderState.RENDERED] == 1


def test_a_released_batch_is_handed_on_with_what_is_left(world: World) -> None:
    batch_id = world.cut(world.run(campaign()))[0]
    lease = world.claimed(batch_id)
    with world.database.transaction() as tx:
        work = leases.work(tx, lease)
        leases.mark_rendered(tx, lease, work[0].render_id, stored(work[0].render_id))
        leases.release(tx, lease)
    with world.database.transaction() as tx:
        handed_back = batches.get(tx, batch_id)
    assert (handed_back.state, handed_back.attempts) == (BatchState.PENDING, 1)
    assert handed_back.lease_owner is None

    again = world.claimed(batch_id)
    with world.database.transaction() as tx:
        assert leases.work(tx, again) == work[1:]
        leases.release(tx, again, ending=AttemptEnding.DRAINED)
        assert batches.get(tx, batch_id).attempts == 1


def test_what_a_finished_batch_left_over_is_cut_again(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    lease = world.claimed(world.cut(run_id)[0])
    with world.database.transaction() as tx:
        work = leases.work(tx, lease)
        leases.mark_rendered(tx, lease, work[0].render_id, stored(work[0].render_id))
        leases.finish(tx, lease)

    left = world.claimed(world.cut(run_id)[0])

    with world.database.transaction() as tx:
        assert {w.render_id for w in leases.work(tx, left)} == {w.render_id for w in work[1:]}


def test_a_batch_that_is_claimed_and_lost_too_often_fails_with_its_renders(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    batch_id = world.cut(run_id)[0]
    for _ in range(3):
        world.claimed(batch_id)
        world.expire(batch_id)
    with world.database.transaction() as tx:
        assert batches.fail_exhausted(tx, world.ws, max_attempts=3) == 0  # still held
        reaping.reap(tx, world.ws, grace_s=0.0)
        assert batches.fail_exhausted(tx, world.ws, max_attempts=4) == 0
        assert batches.fail_exhausted(tx, world.ws, max_attempts=3) == 1
        assert batches.remaining(tx, run_id) == {RenderState.FAILED: 6}
    assert world.claim(batch_id) is None
    world.judge(run_id)
    with world.database.transaction() as tx:
        failed = retrying.failed_items(tx, world.ws, FailureFilter(run_id))
    assert {(f.error_class, f.attempts, f.retryable) for f in failed} == {
        ("LeaseLostError", 3, True)
    }


def test_cancelling_a_run_cancels_no_render_that_another_needs(world: World) -> None:
    spring = world.run(campaign("spring", formats=("1:1", "9:16")))
    summer = world.run(campaign("summer", formats=("1:1",)))
    world.cut(spring)

    with world.database.transaction() as tx:
        counts = cancelling.cancel(tx, spring)

    assert (counts.items, counts.renders, counts.batches) == (12, 6, 2)
    with world.database.transaction() as tx:
        assert batches.remaining(tx, summer) == {RenderState.PENDING: 6}
    assert world.render_all(summer) == 6


def test_a_batch_being_worked_on_drops_what_was_cancelled_and_keeps_the_rest(world: World) -> None:
    spring = world.run(campaign("spring", formats=("1:1",)))
    lease = world.claimed(world.cut(spring)[0])
    with world.database.transaction() as tx:
        work = leases.work(tx, lease)
        cancelling.cancel(tx, spring)
    with world.database.transaction() as tx:
        assert leases.work(tx, lease) == ()
        # the one in the making when it was cancelled is there now, and kept
        leases.mark_rendered(tx, lease, work[0].render_id, stored(work[0].render_id))
        leases.finish(tx, lease)

    again = world.run(campaign("spring", formats=("1:1",)))

    with world.database.transaction() as tx:
        summary = runs.summary(tx, world.ws, again)
    assert summary.dispositions == {"reused": 1, "new": 5}
    assert world.render_all(again) == 5


def test_a_cancelled_render_that_a_new_run_needs_returns_to_its_live_batch(world: World) -> None:
    spring = world.run(campaign("spring", formats=("1:1",)))
    lease = world.claimed(world.cut(spring)[0])
    with world.database.transaction() as tx:
        work = leases.work(tx, lease)
        cancelling.cancel(tx, spring)

    summer = world.run(campaign("summer", formats=("1:1",)))

    assert world.cut(summer) == []
    with world.database.transaction() as tx:
        assert [w.render_id for w in leases.work(tx, lease)] == [w.render_id for w in work]


def test_planning_and_cancelling_exclude_one_another(world: World) -> None:
    """A run that plans a render while another cancels it finds it cancelled and revives it."""
    spring = world.run(campaign("spring"))
    with ThreadPoolExecutor(1) as pool:
        with world.database.transaction() as tx:
            cancelling.cancel(tx, spring)
            planning = pool.submit(world.run, campaign("summer"))
            with pytest.raises(TimeoutError):
                planning.result(timeout=0.3)
        summer = planning.result(timeout=10)
    with world.database.transaction() as tx:
        assert batches.remaining(tx, summer) == {RenderState.PENDING: 12}


def test_only_a_changed_photo_costs_renders(world: World) -> None:
    first = world.run(campaign())
    world.render_all(first)
    world.judge(first)
    world.fetch_photos(lambda ref: ref.location + (" new" if ref.external_id == "p1" else ""))

    assert world.render_all(world.run(campaign())) == 4


def test_a_changed_word_that_the_prompt_does_not_say_costs_nothing(world: World) -> None:
    world.render_all(world.run(campaign()))
    world.sync([record(f"p{i}", price="1.00") for i in range(3)])

    assert world.render_all(world.run(campaign())) == 0


def test_one_coordinator_holds_a_run(world: World) -> None:
    run_id = world.run(campaign())
    with world.database.transaction() as tx:
        lease = run_leases.claim(tx, run_id, "a", 60)
        assert lease is not None
    with world.database.transaction() as tx:
        assert run_leases.claim(tx, run_id, "b", 60) is None
        assert run_leases.heartbeat(tx, lease, 0.0).epoch == lease.epoch
    with world.database.transaction() as tx:
        taken = run_leases.claim(tx, run_id, "b", 60)
        assert taken is not None
        assert taken.epoch == lease.epoch + 1
        run_leases.release(tx, lease)
        run_leases.hold(tx, taken)
        with pytest.raises(LeaseLostError):
            run_leases.heartbeat(tx, lease, 60)
