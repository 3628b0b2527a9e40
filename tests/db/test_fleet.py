"""Attempts are kept; batches that lose their workers are handed back, split, or failed."""

import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from adloom.errors import LeaseLostError, ModelError, RenderError
from adloom.records import FailureFilter, Lease, WorkerRecord
from adloom.states import AttemptEnding, BatchState, RenderState, WorkerState
from db.queries import (
    attempts,
    batches,
    cancelling,
    leases,
    metrics,
    reaping,
    retrying,
    run_leases,
    runs,
    submissions,
    workers,
)
from storage.local import LocalStore
from tasks import fleet
from tasks import reaping as reaper
from tasks import runs as run_tasks
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign, stored

ONE_SIZE = campaign(formats=("1:1",))


def cut(world: World, size: int = 50) -> tuple[int, list[int]]:
    """A run of six renders of one size, and its batches."""
    run_id = world.run(ONE_SIZE)
    return run_id, world.cut(run_id, size)


def die(world: World, batch_id: int, worker: str) -> Lease:
    """A process of a worker claims the batch and is never heard of again."""
    owner = f"{worker}:{uuid.uuid4()}"
    with world.database.transaction() as tx:
        lease = leases.claim(tx, batch_id, owner, 60, worker=worker)
    assert lease is not None
    world.expire(batch_id)
    return lease


def reap(world: World) -> tuple[int, int, int]:
    with world.database.transaction() as tx:
        done = reaping.reap(tx, world.ws, grace_s=0.0)
    return done.handed_back, done.split, done.failed


def register(world: World, name: str, owner: str, pool: str = "gpu") -> None:
    worker = WorkerRecord(name, owner, pool, "host", 7, "cpu", "0.1.0")
    with world.database.transaction() as tx:
        workers.register(tx, world.ws, worker, 60)


def live(world: World, run_id: int) -> dict[int, int]:
    """Batch -> renders, of the batches that are neither done nor given up."""
    with world.database.transaction() as tx:
        return {b.id: b.renders for b in batches.needed_by(tx, run_id)}


def test_every_attempt_is_kept_with_how_it_ended(world: World) -> None:
    run_id, [batch_id] = cut(world)
    die(world, batch_id, "a")
    with world.database.transaction() as tx:
        again = leases.claim(tx, batch_id, "b:1", 60, worker="b")
        assert again is not None
        leases.release(tx, again, ending=AttemptEnding.DRAINED)
    last = world.claimed(batch_id, "c")
    with world.database.transaction() as tx:
        for work in leases.work(tx, last):
            leases.mark_rendered(tx, last, work.render_id, stored(work.render_id))
        leases.finish(tx, last)
        kept = attempts.of_run(tx, run_id)
        endings = attempts.endings(tx, run_id)
    assert [(a.worker, a.epoch, a.renders, a.ending) for a in kept] == [
        ("a", 1, 6, AttemptEnding.LOST),
        ("b", 2, 6, AttemptEnding.DRAINED),
        ("c", 3, 6, AttemptEnding.FINISHED),
    ]
    assert endings == {"drained": 1, "finished": 1, "lost": 1}
    assert all(a.ended_at and a.ended_at >= a.started_at for a in kept)


def test_a_reaped_batch_is_pending_again_and_its_first_worker_writes_nothing(world: World) -> None:
    run_id, [batch_id] = cut(world)
    silent = die(world, batch_id, "a")
    assert reap(world) == (1, 0, 0)
    with world.database.transaction() as tx:
        batch = batches.get(tx, batch_id)
        assert (batch.state, batch.attempts, batch.lease_owner) == (BatchState.PENDING, 1, None)
        assert batches.remaining(tx, run_id) == {RenderState.PENDING: 6}
    with pytest.raises(LeaseLostError), world.database.transaction() as tx:
        leases.work(tx, silent)
    assert reap(world) == (0, 0, 0)


def test_after_a_restart_of_the_server_holders_may_speak_first(world: World) -> None:
    _, [batch_id] = cut(world)
    lease = die(world, batch_id, "a")
    with world.database.transaction() as tx:
        assert reaping.reap(tx, world.ws, grace_s=10**9).handed_back == 0
        assert leases.heartbeat(tx, lease, 60).epoch == lease.epoch
    assert reap(world) == (0, 0, 0)


def test_a_batch_that_loses_its_worker_twice_is_halved_until_one_is_found_deadly(
    world: World,
) -> None:
    run_id, _ = cut(world)
    with world.database.transaction() as tx:
        deadly = tx.execute(
            text("SELECT max(id) FROM render WHERE workspace_id = :ws"), {"ws": world.ws}
        ).scalar_one()
    deaths = 0
    while batch_ids := live(world, run_id):
        for batch_id in batch_ids:
            worker = f"w{deaths % 2}"
            with world.database.transaction() as tx:
                lease = leases.claim(tx, batch_id, f"{worker}:{deaths}", 60, worker=worker)
                assert lease is not None
                work = leases.work(tx, lease)
            if deadly in {w.render_id for w in work}:
                deaths += 1
                world.expire(batch_id)
                continue
            with world.database.transaction() as tx:
                for one in work:
                    leases.mark_rendered(tx, lease, one.render_id, stored(one.render_id))
                leases.finish(tx, lease)
        reap(world)
    # Six and three together are halved after two deaths, and so are two; one alone ends at three.
    assert deaths in (2 + 2 + 3, 2 + 2 + 2 + 3)
    with world.database.transaction() as tx:
        assert batches.remaining(tx, run_id) == {RenderState.RENDERED: 5, RenderState.FAILED: 1}
    world.judge(run_id)
    with world.database.transaction() as tx:
        [failed] = retrying.failed_items(tx, world.ws, FailureFilter(run_id))
        states = {b.state for b in batches.of_run(tx, run_id)}
    assert failed.render_id == deadly
    assert (failed.error_class, failed.retryable) == ("DeadlyRenderError", False)
    assert "3 processes of workers w0, w1" in failed.error_message
    assert states <= {BatchState.DONE, BatchState.FAILED, BatchState.CANCELLED}


def test_one_worker_alone_condemns_no_render(world: World) -> None:
    _, batch_ids = cut(world, size=1)
    for _ in range(4):
        die(world, batch_ids[0], "w0")
        assert reap(world) == (1, 0, 0)
    die(world, batch_ids[0], "w1")
    assert reap(world) == (1, 0, 1)


def test_a_process_that_loses_its_lease_again_and_again_has_not_died(world: World) -> None:
    _, [batch_id] = cut(world)
    for _ in range(3):
        world.claimed(batch_id, "cut-off:1")
        world.expire(batch_id)
        assert reap(world) == (1, 0, 0)


def test_the_end_of_a_draining_worker_is_no_fault_of_its_batch(world: World) -> None:
    run_id, [batch_id] = cut(world)
    for n in range(3):
        register(world, "w0", f"w0:{n}")
        with world.database.transaction() as tx:
            assert leases.claim(tx, batch_id, f"w0:{n}", 60, worker="w0")
            workers.beat(
                tx, world.ws, f"w0:{n}", state=WorkerState.DRAINING, stats={}, ttl_s=60
            )  # fmt: skip
        world.expire(batch_id)
        assert reap(world) == (1, 0, 0)
    with world.database.transaction() as tx:
        assert attempts.endings(tx, run_id) == {"evicted": 3}
        assert batches.get(tx, batch_id).attempts == 0


def test_a_worker_that_follows_another_under_its_name_frees_what_that_one_held(
    world: World,
) -> None:
    run_id, [batch_id] = cut(world)
    register(world, "w0", "w0:1")
    world.claimed(batch_id, "w0:1")
    with world.database.transaction() as tx:
        assert workers.bearer(tx, world.ws, "none") is None
        assert workers.bearer(tx, world.ws, "w0") == "w0:1"
        assert reaping.hand_back_of(tx, world.ws, "w0:1") == 1
    register(world, "w0", "w0:2")
    with world.database.transaction() as tx:
        beats = [
            workers.beat(tx, world.ws, owner, state=WorkerState.WORKING, stats={}, ttl_s=60)
            for owner in ("w0:1", "w0:2")
        ]
        assert beats == [False, True]  # the first one learns that its name is another's
        assert workers.bearer(tx, world.ws, "w0") == "w0:2"
        assert attempts.endings(tx, run_id) == {"lost": 1}
        assert batches.get(tx, batch_id).state is BatchState.PENDING


def test_batches_are_submitted_once_within_the_window(world: World) -> None:
    run_id, batch_ids = cut(world, size=1)
    other = world.run(campaign("summer", formats=("1:1",)))
    with world.database.transaction() as tx:
        first = submissions.mark(tx, run_id, limit=2)
        assert submissions.under_way(tx, run_id) == 2
        assert submissions.mark(tx, other, limit=9) == ()
        theirs = submissions.mark_others(tx, world.ws, other, limit=9)
        # Each run looks after all that it waits for, whichever run cut and submitted it.
        for one in (run_id, other):
            assert submissions.under_way(tx, one) == 6
            assert [s.batch_id for s in submissions.waiting(tx, one)] == batch_ids
        submissions.withdraw(tx, first)
        assert submissions.mark_others(tx, world.ws, other, limit=9) != ()
    assert [s.batch_id for s in (*first, *theirs)] == batch_ids
    assert len({s.key for s in (*first, *theirs)}) == 6
    with world.database.transaction() as tx:
        assert submissions.mark(tx, run_id, limit=9) == ()


def test_a_submission_that_got_lost_is_made_again_under_another_key(world: World) -> None:
    run_id, batch_ids = cut(world, size=3)
    with world.database.transaction() as tx:
        lost, held = submissions.mark(tx, run_id, limit=2)
        submissions.note_flow_run(tx, lost, "flow-run")
        submissions.take(tx, held.batch_id, "w0:1")
        assert submissions.are_untaken(tx, world.ws)
    register(world, "w0", "w0:1")
    with world.database.transaction() as tx:
        found = submissions.waiting(tx, run_id)
        assert [(s.flow_run_id, s.taken_by, s.taker_is_alive) for s in found] == [
            ("flow-run", None, False),
            (None, "w0:1", True),
        ]
        submissions.take(tx, lost.batch_id, "w1:1")
        assert not submissions.are_untaken(tx, world.ws)
        submissions.withdraw(tx, [lost])  # looked at before it was taken: no longer lost
        assert submissions.mark(tx, run_id, limit=2) == ()
        submissions.let_go(tx, lost.batch_id, "w1:1")
        [again] = submissions.mark(tx, run_id, limit=2)
    assert (again.batch_id, again.number) == (batch_ids[0], 2)
    assert again.key != lost.key
    register(world, "w0", "w0:2")
    with world.database.transaction() as tx:
        assert [s.taker_is_alive for s in submissions.waiting(tx, run_id)] == [False, False]
        submissions.withdraw_taken(tx, world.ws, "w0:1")
        assert [s.batch_id for s in submissions.mark(tx, run_id, limit=2)] == [held.batch_id]
        submissions.note_flow_run(tx, lost, "late")
        assert submissions.waiting(tx, run_id)[0].flow_run_id is None


def test_a_batch_handed_back_is_submitted_again_and_one_begun_is_not(world: World) -> None:
    run_id, [batch_id] = cut(world)
    with world.database.transaction() as tx:
        submissions.mark(tx, run_id, limit=1)
    lease = world.claimed(batch_id)
    with world.database.transaction() as tx:
        assert submissions.waiting(tx, run_id) == ()
        assert submissions.mark(tx, run_id, limit=1) == ()
        leases.release(tx, lease)
        assert [s.number for s in submissions.mark(tx, run_id, limit=1)] == [2]


def test_a_batch_whose_renders_are_all_made_is_closed(world: World) -> None:
    run_id, [batch_id] = cut(world)
    lease = world.claimed(batch_id)
    with world.database.transaction() as tx:
        for work in leases.work(tx, lease):
            leases.mark_rendered(tx, lease, work.render_id, stored(work.render_id))
    world.expire(batch_id)
    assert reap(world) == (1, 0, 0)
    with world.database.transaction() as tx:
        assert reaping.close_empty(tx, run_id) == 1
        assert batches.get(tx, batch_id).state is BatchState.DONE


def queued(world: World) -> dict[BatchState, int]:
    """The renders of live batches, as metrics tell the queue's depth."""
    with world.database.transaction() as tx:
        return {q.state: q.renders for q in metrics.queue(tx, world.ws)}


def environment(world: World, folder: Path) -> Environment:
    rendering = Rendering(folder, lease_s=0.0)
    return Environment(world.database, LocalStore(folder), "w", world.ws, rendering, "me")


def two_runs(world: World) -> tuple[int, list[int], int]:
    """A run of twelve renders in two batches, and another that needs those of the first batch."""
    run_id = world.run(campaign())
    batch_ids = world.cut(run_id)
    other = world.run(campaign("other", formats=("1:1",)))
    assert live(world, other) == {batch_ids[0]: 6}
    return run_id, batch_ids, other


def test_a_run_that_fails_leaves_nothing_in_the_queue_and_harms_no_other(
    world: World, tmp_path: Path
) -> None:
    run_id, _, other = two_runs(world)
    env = environment(world, tmp_path)
    with world.database.transaction() as tx:
        lease = run_leases.claim(tx, run_id, "me", 60)
    assert lease is not None
    run_tasks.fail(env, lease, RenderError("broken"))
    assert queued(world) == {}
    assert world.render_all(other) == 6
    with world.database.transaction() as tx:
        failed = retrying.failed_items(tx, world.ws, FailureFilter(run_id))
        counts = retrying.reopen(tx, world.ws, [f.run_item_id for f in failed])
    assert (counts.items, counts.renders) == (12, 6)
    assert world.render_all(run_id) == 6


def test_what_is_handed_back_after_the_end_of_its_run_ends_unless_another_needs_it(
    world: World, tmp_path: Path
) -> None:
    run_id, batch_ids, other = two_runs(world)
    env = environment(world, tmp_path)
    for batch_id in batch_ids:
        die(world, batch_id, "a")
    with world.database.transaction() as tx:
        cancelling.cancel(tx, run_id)
    assert reaper.reap(env).handed_back == 2
    assert queued(world) == {BatchState.PENDING: 6}
    assert live(world, other) == {batch_ids[0]: 6}
    with world.database.transaction() as tx:
        cancelling.cancel(tx, other)
    reaper.reap(env)
    assert queued(world) == {}


def test_only_workers_that_take_work_count(world: World) -> None:
    register(world, "a", "a:1")
    register(world, "b", "b:1")
    register(world, "c", "c:1", pool="control")
    with world.database.transaction() as tx:
        assert workers.working(tx, world.ws, "gpu") == 2
        workers.beat(tx, world.ws, "a:1", state=WorkerState.DRAINING, stats={"n": 1}, ttl_s=60)
        workers.beat(tx, world.ws, "b:1", state=WorkerState.WORKING, stats={}, ttl_s=-1)
        assert workers.working(tx, world.ws, "gpu") == 0
        assert [(w.name, w.alive) for w in workers.listed(tx, world.ws)] == [
            ("c", True), ("a", True), ("b", False),
        ]  # fmt: skip


def test_workers_that_refuse_a_model_do_not_count_and_all_of_them_end_the_wait(
    world: World, tmp_path: Path
) -> None:
    run_id, _ = cut(world)
    with world.database.transaction() as tx:
        run = runs.get(tx, world.ws, run_id)
    env = Environment(
        world.database, LocalStore(tmp_path), "w", world.ws, Rendering(weights_root=tmp_path), "c"
    )
    refuses = [{"model": run.spec.model, "weights": run.weights_hash, "reason": "no weights"}]
    for name in ("a", "b"):
        register(world, name, f"{name}:1")
    for owner, left in (("a:1", 1), ("b:1", None)):
        with world.database.transaction() as tx:
            workers.beat(
                tx, world.ws, owner, state=WorkerState.WORKING, stats={"refuses": refuses}, ttl_s=60
            )
        if left is None:
            with pytest.raises(ModelError, match=r"none of the 2 workers.*no weights"):
                fleet.size(env, run)
        else:
            assert fleet.size(env, run) == left
