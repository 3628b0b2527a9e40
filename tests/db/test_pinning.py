"""A campaign's renders are made with the weights that it was planned with, or not at all."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from adloom.errors import ModelError, NotFoundError
from adloom.records import RunRecord
from adloom.states import Outcome, RunState, Trigger
from adloom.weights_bill import Part
from db.engine import Database, Transaction
from db.queries import campaigns, run_leases, runs
from flows.retry_failed import retry_failed
from models.refadgen.weights import components, write_bill
from storage.local import LocalStore
from tasks import estimates, planning, resident, retrying
from tasks import runs as run_tasks
from tasks.environment import Environment, Rendering, use
from tests.db.world import World, campaign

SHIPPED = Path(__file__).parents[2] / "weights" / "mini"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A copy of the shipped weights, to be changed."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "first" / "mini"))


@pytest.fixture
def other_weights(weights: Path, tmp_path: Path) -> Path:
    """The same network under another hash."""
    other = Path(shutil.copytree(weights, tmp_path / "second" / "mini"))
    config = other / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()), indent=7))
    write_bill(other, [Part(components(other), "us", "MIT")])
    return other


def environment(world: World, weights: Path) -> Environment:
    rendering = Rendering(weights_root=weights.parent, lease_s=1.0)
    return Environment(world.database, LocalStore(weights.parent), "w", world.ws, rendering, "me")


def begun(env: Environment) -> RunRecord:
    return run_tasks.begin(env, "spring", trigger=Trigger.MANUAL, flow_run_id=None)


def applied(world: World) -> None:
    with world.database.transaction() as tx:
        campaigns.apply(tx, world.ws, campaign())


def test_a_campaign_refuses_other_weights_until_it_is_applied_again(
    world: World, weights: Path, other_weights: Path
) -> None:
    applied(world)
    first, second = environment(world, weights), environment(world, other_weights)
    run = begun(first)

    for refused in (lambda: begun(second), lambda: estimates.estimate(second, "spring")):
        with pytest.raises(ModelError, match=r"'spring': is pinned.*apply the campaign's file"):
            refused()
    with world.database.transaction() as tx:
        lease = run_leases.claim(tx, run.id, "other", 60)
        assert lease is not None
    with pytest.raises(ModelError, match="is pinned"):
        planning.plan_run(second, lease, run)
    with world.database.transaction() as tx:
        run_leases.release(tx, lease)
        assert runs.latest(tx, world.ws, "spring") == run
        assert runs.conservation(tx, run.id).slots == 0
    assert begun(first) == run

    applied(world)
    again = begun(second)
    assert (again.id > run.id, again.weights_hash != run.weights_hash) == (True, True)
    with world.database.transaction() as tx:
        assert runs.get(tx, world.ws, run.id).state is RunState.CANCELLED


class Busy(Database):
    """A database in which another process does `something` once, after the first transaction."""

    def __init__(self, url: str, something: Callable[[], object]) -> None:
        super().__init__(url)
        self._something: Callable[[], object] | None = something

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as tx:
            yield tx
        if self._something:
            self._something()
            self._something = None


@pytest.mark.parametrize("seed", [0, 7])
def test_a_campaign_applied_while_its_weights_load_runs_as_it_says_by_then(
    postgres_url: str, weights: Path, seed: int
) -> None:
    """Changed, or applied again as it is: spec, weights and pin belong together."""
    quiet = Database(postgres_url)
    world = World.open(quiet)
    applied(world)

    def apply_again() -> None:
        with quiet.transaction() as tx:
            campaigns.apply(tx, world.ws, campaign(seed=seed))

    busy = Busy(postgres_url, apply_again)
    run = begun(replace(environment(world, weights), database=busy))
    with quiet.transaction() as tx:
        stored = campaigns.get(tx, world.ws, "spring")
    assert run.spec == stored.spec == campaign(seed=seed)
    assert run.weights_hash == stored.model_revision
    busy.dispose()
    quiet.dispose()


def test_a_run_planned_for_another_renderer_version_is_followed_by_a_new_one(
    world: World, weights: Path
) -> None:
    env = environment(world, weights)
    old = world.run(campaign(), renderer=resident.identity("mini", env.rendering))
    assert begun(env).id == old, "what was planned for this version is gone on with"
    statement = "UPDATE render SET spec = jsonb_set(spec, '{renderer_version}', '\"0\"')"
    with world.database.transaction() as tx:
        tx.execute(text(f"{statement} WHERE workspace_id = :ws"), {"ws": world.ws})
    again = begun(env)
    assert again.id > old
    with world.database.transaction() as tx:
        assert runs.get(tx, world.ws, old).state is RunState.CANCELLED
        assert runs.conservation(tx, old).holds


def test_a_retry_without_the_runs_weights_opens_nothing(
    world: World, weights: Path, tmp_path: Path
) -> None:
    run_id = world.run(campaign())
    world.render_all(run_id, fails=lambda n: n == 1)
    world.judge(run_id)
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.COMPLETE)
    gone = replace(environment(world, weights), rendering=Rendering(weights_root=tmp_path / "no"))
    for env, error in ((environment(world, weights), ModelError), (gone, NotFoundError)):
        with use(env), pytest.raises(error, match=r"pinned to weights wwww|no weights 'mini'"):
            asyncio.run(retry_failed.fn(run_id))
        with world.database.transaction() as tx:
            summary = runs.summary(tx, world.ws, run_id)
        assert (summary.run.state, summary.outcomes[Outcome.FAILED]) == (RunState.COMPLETE, 1)


def test_a_retry_with_the_runs_weights_may_go_on(world: World, weights: Path) -> None:
    applied(world)
    env = environment(world, weights)
    run = begun(env)
    assert run.weights_hash == resident.renderer("mini", env.rendering).weights_hash
    retrying.require_weights(env, run.id)


def test_a_worker_with_other_weights_renders_nothing(weights: Path, world: World) -> None:
    renderer = resident.renderer("mini", environment(world, weights).rendering)
    spec = world.planned(campaign())[0].spec
    assert spec.weights_hash != renderer.weights_hash
    with pytest.raises(ModelError, match="planned with weights wwww"):
        resident.checked(renderer, spec)
    with pytest.raises(ModelError, match="float16"):
        resident.checked(
            renderer, replace(spec, weights_hash=renderer.weights_hash, dtype="float16")
        )
    right = replace(spec, weights_hash=renderer.weights_hash)
    assert resident.checked(renderer, right) is renderer
