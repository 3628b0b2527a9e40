"""A run has one coordinator: one that lost the run's lease writes nothing more."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.logging import disable_run_logger
from sqlalchemy import text

from adloom.errors import (
    ConflictError,
    LeaseLostError,
    RenderError,
    RunBusyError,
)
from adloom.gates import Gate
from adloom.records import FailureFilter, JudgeItem, RunLease, RunRecord
from adloom.scores import Scores, Stage
from adloom.states import Outcome, RunState, Trigger
from db.engine import Transaction
from db.queries import campaigns, cancelling, leases, renditions, run_leases, runs, scores
from db.queries import judging as judging_rows
from db.queries.known_slots import WantedSlots
from flows.run_campaign import run_campaign
from tasks import batching, judging, planning, retrying
from tasks import runs as run_tasks
from tasks.environment import Environment, use
from tasks.finishing import unfinished
from tasks.planned import PlanChunk
from tests.db.coordinating import SPEC, environment_of, held_by, partly_done
from tests.db.world import REVISION, World, campaign


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    return environment_of(world, tmp_path)


def taken_over(world: World, run_id: int) -> tuple[RunLease, RunLease]:
    """The lease of a coordinator that fell silent, and that of the one that followed it."""
    stale = held_by(world, run_id, "first", ttl_s=0.0)
    return stale, held_by(world, run_id, "second")


def record_of(world: World, run_id: int) -> RunRecord:
    with world.database.transaction() as tx:
        return runs.get(tx, world.ws, run_id)


def judgeable(world: World, run_id: int) -> tuple[JudgeItem, ...]:
    with world.database.transaction() as tx:
        return judging_rows.judgeable(tx, run_id, scorer_revision=REVISION)


def everything(world: World) -> list[Any]:
    """All rows that a coordinator can write."""
    tables = ("run", "run_item", "batch", "render", "rendition", "verdict", "score")
    with world.database.transaction() as tx:
        rows = [
            tx.execute(
                text(f"SELECT to_jsonb(t) FROM {table} t WHERE workspace_id = :ws ORDER BY 1"),
                {"ws": world.ws},
            ).all()
            for table in tables
        ]
        failures = "SELECT count(*) FROM finishing_failure f JOIN render r ON r.id = f.render_id"
        count = tx.execute(text(f"{failures} WHERE r.workspace_id = :ws"), {"ws": world.ws})
        return [*rows, count.scalar_one()]


def some_render(tx: Transaction, run_id: int) -> int:
    statement = text("SELECT min(render_id) FROM run_item WHERE run_id = :run")
    return int(tx.execute(statement, {"run": run_id}).scalar_one())


def put_score(env: Environment, lease: RunLease) -> None:
    with env.database.transaction() as tx:
        measured = Scores(Stage.MODEL, "another", {"identity": 0.1})
        scores.put(tx, some_render(tx, lease.run_id), measured, finish_hash=None, lease=lease)


def put_rendition(env: Environment, lease: RunLease) -> None:
    with env.database.transaction() as tx:
        work = renditions.unfinished(tx, lease.run_id, scorer_revision="another").work[0]
        assert work.rendition is not None
        renditions.put(tx, env.workspace_id, work.rendition, lease=lease)


def record_failure(env: Environment, lease: RunLease) -> None:
    with env.database.transaction() as tx:
        renditions.record_failure(
            tx, some_render(tx, lease.run_id), "f", error_class="RenderError", message="no",
            retryable=False, lease=lease,
        )  # fmt: skip


def store_plan(world: World, env: Environment, lease: RunLease) -> None:
    spec = campaign(variants=3)
    chunk = PlanChunk(WantedSlots(spec, ()), due=tuple(world.planned(spec)))
    planning.store(env, lease, chunk, runs.SlotRows.of(spec, chunk.due))


Write = Callable[[World, Environment, RunLease], object]

WRITES: dict[str, Write] = {
    "plan": store_plan,
    "cut": lambda _, env, lease: batching.next_batches(env, lease),
    "score": lambda _, env, lease: put_score(env, lease),
    "finish": lambda _, env, lease: put_rendition(env, lease),
    "finishing failed": lambda _, env, lease: record_failure(env, lease),
    "judge": lambda world, env, lease: judging.judge_run(
        env, lease, record_of(world, lease.run_id), scorer_revision=REVISION
    ),
    "draw again": lambda world, env, lease: judging.draw_again(
        env, lease, record_of(world, lease.run_id)
    ),
    "reopen": lambda _, env, lease: retrying.reopen(env, lease, FailureFilter()),
    "fail": lambda _, env, lease: run_tasks.fail(env, lease, RenderError("broken")),
}


@pytest.fixture
def run_id(world: World) -> int:
    return partly_done(world)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_coordinator_that_lost_its_run_writes_nothing_and_its_follower_does(
    world: World, env: Environment, run_id: int, write: Write
) -> None:
    stale, fresh = taken_over(world, run_id)
    before = everything(world)

    with pytest.raises(LeaseLostError, match=f"run {run_id}.*first"):
        write(world, env, stale)

    assert everything(world) == before
    write(world, env, fresh)
    assert everything(world) != before


def test_only_the_holder_completes_a_run(world: World, env: Environment) -> None:
    run_id = world.run(SPEC)
    world.render_all(run_id)
    stale, fresh = taken_over(world, run_id)
    judged = judging.judge_run(env, fresh, record_of(world, run_id), scorer_revision=REVISION)
    assert sum(judged.values()) == 12

    with pytest.raises(LeaseLostError):
        run_tasks.complete(env, stale)
    assert record_of(world, run_id).state is RunState.RENDERING

    done = run_tasks.complete(env, fresh)
    assert (done.run.state, sum(done.outcomes.values())) == (RunState.COMPLETE, 12)
    assert Outcome.OPEN not in done.outcomes


@pytest.mark.parametrize("page_rows", [1, 5, 12, 100])
def test_pages_judge_finish_and_draw_each_item_once(
    world: World, env: Environment, page_rows: int
) -> None:
    run_id = world.run(SPEC)
    world.render_all(run_id)
    found = list(unfinished(env, run_id, scorer_revision="another", page_rows=page_rows))
    assert len(found) == 12
    assert {w.render_id for w in found} == {i.render_id for i in judgeable(world, run_id)}

    lease, run = held_by(world, run_id, "second"), record_of(world, run_id)
    strict = replace(run, spec=replace(SPEC, gates=(Gate("model.identity", min=0.9),)))
    judged = judging.judge_run(env, lease, strict, scorer_revision=REVISION, page_rows=page_rows)
    assert judged == {Outcome.REJECTED: 12}
    assert judging.draw_again(env, lease, strict, page_rows=page_rows) == 12
    assert judging.draw_again(env, lease, strict, page_rows=page_rows) == 0
    with world.database.transaction() as tx:
        assert runs.conservation(tx, run_id).holds
        assert runs.summary(tx, world.ws, run_id).outcomes == {Outcome.OPEN: 12}


def test_a_write_delays_the_next_coordinator_until_its_commit(world: World, run_id: int) -> None:
    lease = held_by(world, run_id, "first", ttl_s=0.0)
    with ThreadPoolExecutor(1) as pool:
        with world.database.transaction() as tx:
            run_leases.hold(tx, lease)
            claiming = pool.submit(held_by, world, run_id, "second")
            with pytest.raises(TimeoutError):
                claiming.result(timeout=0.2)
        assert claiming.result(timeout=10).epoch == lease.epoch + 1


def test_a_run_that_is_held_is_refused_to_a_second_coordinator_until_it_is_let_go(
    world: World, env: Environment, run_id: int
) -> None:
    lease = held_by(world, run_id, "first")
    with pytest.raises(ConflictError, match="another process"), run_tasks.held(env, run_id):
        pass
    with world.database.transaction() as tx:
        run_leases.release(tx, lease)
    with run_tasks.held(env, run_id) as heartbeat:
        assert heartbeat.lease.owner == "second"
        with pytest.raises(LeaseLostError):
            batching.next_batches(env, lease)


def test_a_scheduled_run_is_skipped_while_another_process_executes_the_campaign(
    world: World, env: Environment, tmp_path: Path
) -> None:
    rendering = replace(env.rendering, simulation_journal=tmp_path / "journal")
    env = replace(env, rendering=rendering)
    run_id = world.run(campaign(model="simulated:0"))
    held_by(world, run_id, "first")
    with use(env), disable_run_logger():
        state = asyncio.run(run_campaign.fn("spring", "schedule", overlap="skip"))
        with pytest.raises(RunBusyError):
            asyncio.run(run_campaign.fn("spring", "schedule"))
    assert isinstance(state, State)
    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert f"run {run_id} is being executed" in (state.message or "")
    assert [r.run for r in run_tasks.list_runs(env, 10)] == [run_id]


@pytest.mark.parametrize("end", [RunState.COMPLETE, RunState.CANCELLED])
def test_a_flow_run_that_is_resumed_after_the_end_of_its_run_begins_no_other(
    world: World, env: Environment, end: RunState
) -> None:
    run_id = world.run(SPEC)
    with world.database.transaction() as tx:
        runs.set_flow_run(tx, run_id, "flow-run")
        if end is RunState.CANCELLED:
            cancelling.cancel(tx, run_id)
    if end is RunState.COMPLETE:
        world.render_all(run_id)
        world.judge(run_id)
        run_tasks.complete(env, held_by(world, run_id, "second"))
    for flow_run, resumed in (("flow-run", None), ("another", run_id)):
        found = run_tasks.begin(
            env, "spring", trigger=Trigger.MANUAL, flow_run_id=flow_run, resumed=resumed
        )
        assert (found.id, found.state) == (run_id, end)


def test_after_a_restart_of_postgres_holders_of_leases_can_speak_before_anybody_follows(
    world: World, run_id: int
) -> None:
    years = 1e8  # the server started less long ago
    [batch, *_] = world.cut(run_id)
    held_by(world, run_id, "first", ttl_s=0.0)
    world.claimed(batch, "first", ttl_s=0.0)
    with world.database.transaction() as tx:
        assert run_leases.claim(tx, run_id, "second", 60, grace_s=years) is None
        assert leases.claim(tx, batch, "second", 60, grace_s=years) is None
        lease = run_leases.claim(tx, run_id, "second", 60)
        assert lease is not None
        run_leases.release(tx, lease)
        assert run_leases.claim(tx, run_id, "third", 60, grace_s=years) is not None, "it was let go"
        assert leases.claim(tx, batch, "second", 60) is not None


def test_two_processes_that_begin_a_campaign_at_once_begin_one_run(
    world: World, env: Environment, tmp_path: Path
) -> None:
    env = replace(env, rendering=replace(env.rendering, simulation_journal=tmp_path / "journal"))
    with world.database.transaction() as tx:
        campaigns.apply(tx, world.ws, campaign(model="simulated:0"))
    ready = Barrier(3)

    def begin(name: str) -> int:
        ready.wait(timeout=30)
        mine = replace(env, owner=name)
        return run_tasks.begin(mine, "spring", trigger=Trigger.SCHEDULE, flow_run_id=name).id

    with ThreadPoolExecutor(3) as pool:
        begun = set(pool.map(begin, ("first", "second", "third")))
    assert begun == {r.run for r in run_tasks.list_runs(env, 10)}
    assert len(begun) == 1


def test_a_process_follows_the_run_that_it_executes_and_nobody_elses(
    world: World, env: Environment
) -> None:
    mine = world.run(SPEC)
    others = world.run(campaign("summer"))
    held_by(world, others, "first")
    assert run_tasks.own_run(env) is None
    with run_tasks.held(env, mine):
        world.render_all(mine)
        line = run_tasks.own_run(env)
        assert line is not None
        assert (line.run, line.campaign, line.rendered) == (mine, "spring", 12)
    assert run_tasks.own_run(env) is None
