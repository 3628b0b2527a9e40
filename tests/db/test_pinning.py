"""A campaign's renders are made with the weights that it was planned with, or not at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adloom.errors import ModelError
from adloom.records import RunRecord
from adloom.states import RunState, Trigger
from db.queries import campaigns, run_leases, runs
from storage.local import LocalStore
from tasks import planning, resident
from tasks import runs as run_tasks
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign

pytestmark = pytest.mark.xdist_group("models")

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

    for refused in (lambda: begun(second), lambda: planning.estimate(second, "spring")):
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
