"""The fleet in numbers: counted right, cheap to ask again, and shown when part of it is away."""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from adloom.catalog import Price
from adloom.errors import ConfigurationError
from adloom.prices import parse_price
from adloom.records import WorkerRecord
from adloom.records.metrics import RenderCounts
from adloom.states import RenderState, RunState, WorkerState
from db.engine import Database
from db.queries import metrics, runs, workers
from services.exporter import metrics_page
from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tasks.metrics import AttemptsEver, FleetWatch, Remembered
from tests.db.world import World, campaign


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    return environment(world, world.database, tmp_path)


def environment(world: World, database: Database, folder: Path) -> Environment:
    rendering = Rendering(weights_root=folder)
    return Environment(database, LocalStore(folder), world.slug, world.ws, rendering, "test")


def page(env: Environment, price: Price | None = None) -> Mapping[tuple[str, ...], float]:
    """What the page says: {(name, label values in the order of their names…): value}."""
    with metrics_page(FleetWatch(env), env.workspace, price, host="127.0.0.1", port=0) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer)
        for sample in family.samples
    }


def test_a_live_run_is_counted_by_outcome_error_and_yield(world: World, env: Environment) -> None:
    run_id = world.run(campaign("spring"))
    world.render_all(run_id, fails=lambda n: n <= 3)
    world.judge(run_id, rejects=lambda n: n == 0)
    said, run = page(env), ("spring", str(run_id))
    items = {key[2]: n for key, n in said.items() if key[0] == "adloom_run_items"}
    assert items == {
        "open": 0, "approved": 8, "rejected": 1, "needs_review": 0, "failed": 3, "cancelled": 0,
    }  # fmt: skip
    assert said["adloom_run_failed_items", "spring", "RenderError", str(run_id)] == 3
    assert said["adloom_run_yield_ratio", *run] == pytest.approx(8 / 9)
    assert said["adloom_run_planned_slots", *run] == sum(items.values())
    assert (said["adloom_renders", "rendered"], said["adloom_renders", "failed"]) == (9, 3)
    assert (said["adloom_up",], said["adloom_renders_exact",]) == (1, 1)


def test_a_completed_run_is_its_campaigns_last_and_no_live_one(
    world: World, env: Environment
) -> None:
    run_id = world.run(campaign("spring"))
    world.render_all(run_id)
    world.judge(run_id, rejects=lambda n: n < 3)
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.COMPLETE)
        ended_at = runs.get(tx, world.ws, run_id).ended_at
    assert ended_at is not None
    said = page(env)
    assert said["adloom_runs",] == 0
    assert not [key for key in said if key[0] == "adloom_run_items"]
    assert said["adloom_campaign_last_run_items", "spring", "approved"] == 9
    assert said["adloom_campaign_yield_ratio", "spring"] == 0.75
    completed = said["adloom_campaign_last_completed_timestamp_seconds", "spring"]
    assert completed == pytest.approx(ended_at.timestamp(), abs=0.01)


def test_the_queue_is_what_waits_and_what_is_held(world: World, env: Environment) -> None:
    batch_ids = world.cut(world.run(campaign("spring")), size=5)
    world.claimed(batch_ids[0])
    said = page(env)
    assert (said["adloom_batches", "pending"], said["adloom_batches", "leased"]) == (3, 1)
    assert said["adloom_queue_renders", "pending"] + said["adloom_queue_renders", "leased"] == 12
    assert 0 < said["adloom_queue_oldest_seconds",] < 60


def test_ends_of_attempts_are_counted_once_each(world: World) -> None:
    asked = AttemptsEver(world.ws)
    batch_ids = world.cut(world.run(campaign("spring")), size=4)
    for n, batch_id in enumerate(batch_ids):
        world.claimed(batch_id)
        end(world, batch_id, "lost" if n else "finished")
        with world.database.transaction() as tx:
            counts = {(one.ending.value, one.attempts) for one in asked(tx)}
        assert counts == ({("finished", 1), ("lost", n)} if n else {("finished", 1)})


def end(world: World, batch_id: int, ending: str) -> None:
    """Ends an attempt long enough ago to be counted: later than those that were ended before."""
    with world.database.transaction() as tx:
        tx.execute(
            text(
                "UPDATE batch_attempt SET ending = CAST(:ending AS attempt_ending), "
                "ended_at = clock_timestamp() - make_interval(secs => :settled + 0.001) "
                "WHERE batch_id = :batch"
            ),
            {"ending": ending, "batch": batch_id, "settled": metrics.SETTLED_S},
        )


def test_workers_show_what_they_last_said_and_what_it_cost(world: World, env: Environment) -> None:
    stats = {"busy_s": 1800.0, "renders": 40, "rss_mb": 900, "clock_skew_s": -0.25, "busy_share": 1}
    with world.database.transaction() as tx:
        for name, ttl_s in (("a", 60.0), ("lost", -1.0), ("stopped", 60.0)):
            one = WorkerRecord(name, f"{name}:1", "gpu", "host", 1, "cuda:0", "0.1.0")
            workers.register(tx, world.ws, one, 60)
            state = WorkerState.STOPPED if name == "stopped" else WorkerState.WORKING
            workers.beat(tx, world.ws, one.owner, state=state, stats=stats, ttl_s=ttl_s)
    said, a = page(env, parse_price("2.50 USD")), ("cuda:0", "host", "gpu", "a")
    up = {key[4]: value for key, value in said.items() if key[0] == "adloom_worker_up"}
    assert up == {"a": 1, "lost": 0}
    assert said["adloom_worker_busy_seconds_total", *a] == 1800
    assert said["adloom_worker_renders_total", *a] == 40
    assert said["adloom_worker_memory_bytes", *a] == 900e6
    assert said["adloom_worker_clock_skew_seconds", *a] == -0.25
    assert said["adloom_worker_cost_total", "USD", *a] == 1.25
    assert said["adloom_gpu_hour_price", "USD"] == 2.5


def test_many_renders_are_estimated_and_those_that_ended_badly_counted(database: Database) -> None:
    world = World.open(database)
    world.add_products(40)
    world.render_all(world.run(campaign("spring")), fails=lambda n: n <= 7)
    with database.transaction() as tx:
        assert metrics.renders(tx, world.ws).exact
        tx.execute(text("ANALYZE render"))
        found: RenderCounts = metrics.renders(tx, world.ws, exact_below=0)
    assert not found.exact
    assert found.by_state[RenderState.FAILED] == 7
    assert found.by_state[RenderState.RENDERED] == pytest.approx(153, rel=0.05)
    assert found.by_state[RenderState.PENDING] <= 1


def test_what_takes_too_long_is_left_out_and_asked_again_later(env: Environment) -> None:
    now = [0.0]

    def slow(tx: metrics.Transaction) -> int:
        now[0] += 2.0
        tx.execute(text("SELECT pg_sleep(30)"))
        return 1

    asked = Remembered(slow, timeout_s=0.05, clock=lambda: now[0])
    assert asked.get(env) is None
    assert now[0] == 2.0
    now[0] = 39.9  # twenty times as long as it took
    asked.get(env)
    assert now[0] == 39.9
    now[0] = 40.1
    asked.get(env)
    assert now[0] > 42.0


def test_a_database_that_is_away_is_said_and_ends_no_page(world: World, tmp_path: Path) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/none")
    try:
        said = page(environment(world, away, tmp_path))
    finally:
        away.dispose()
    assert said["adloom_up",] == 0
    assert not [key for key in said if key[0].startswith(("adloom_run", "adloom_worker"))]


def test_a_port_that_is_taken_is_refused_with_the_mend(env: Environment) -> None:
    watch = FleetWatch(env)
    with (
        metrics_page(watch, "w", None, host="127.0.0.1", port=0) as port,
        pytest.raises(ConfigurationError, match=rf"{port}.*another port"),
        metrics_page(watch, "w", None, host="127.0.0.1", port=port),
    ):
        pass
