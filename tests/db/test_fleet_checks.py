"""What `adloom doctor` says of a fleet."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adloom.findings import Level
from adloom.records import WorkerRecord
from adloom.states import WorkerState
from db.queries import workers
from storage.local import LocalStore
from tasks import fleet_checks
from tasks.builds import own_build
from tasks.environment import Environment, Rendering
from tests.db.world import World

BUILD = own_build()


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    rendering = Rendering(weights_root=tmp_path)
    return Environment(
        world.database, LocalStore(tmp_path), world.slug, world.ws, rendering, "test"
    )


def register(env: Environment, name: str, *, ttl_s: float = 60.0, **stats: Any) -> None:
    said = {"build": BUILD.to_json(), "clock_skew_s": 0.01, "weights": {"mini": "a" * 64}, **stats}
    one = WorkerRecord(name, f"{name}:1", "gpu", "host", 1, "cuda:0", "0.1.0", stats=said)
    with env.database.transaction() as tx:
        workers.register(tx, env.workspace_id, one, ttl_s)
        workers.beat(
            tx, env.workspace_id, one.owner, state=WorkerState.WORKING, stats=said, ttl_s=ttl_s
        )


def found(env: Environment) -> dict[str, tuple[Level, str]]:
    there = fleet_checks.members(env)
    made = {name: check(env, there, BUILD) for name, check in fleet_checks.CHECKS.items()}
    assert all(bool(f.mend) == (f.level is not Level.OK) for f in made.values())
    return {name: (f.level, f.detail) for name, f in made.items()}


def test_a_fleet_of_one_kind_is_well(env: Environment) -> None:
    register(env, "a")
    register(env, "b")
    said = found(env)
    assert {level for level, _ in said.values()} == {Level.OK}
    assert said["workers"][1] == "2 in gpu"
    assert said["loaded"][1] == "'mini' on 2"
    assert said["clocks"][1].startswith("3 clocks within")


def test_no_fleet_is_no_fault(env: Environment) -> None:
    assert {level for level, _ in found(env).values()} == {Level.OK}


@pytest.mark.parametrize(
    ("stats", "check", "level", "words"),
    [
        ({"build": replace(BUILD, renderer="0").to_json()}, "versions", Level.FAIL, "0: b"),
        ({"build": replace(BUILD, adloom="0.0.9").to_json()}, "versions", Level.WARN, "0.0.9: b"),
        ({"build": replace(BUILD, schema="0011").to_json()}, "versions", Level.WARN, "0011: b"),
        ({"build": None}, "versions", Level.WARN, "do not say their versions: b"),
        ({"clock_skew_s": -7.5}, "clocks", Level.WARN, "b is 7.5 s behind Postgres'"),
        ({"clock_skew_s": 4000.0}, "clocks", Level.FAIL, "b is 4000.0 s ahead of Postgres'"),
        ({"weights": {"mini": "b" * 64}}, "loaded", Level.FAIL, f"{'a' * 12}: a; {'b' * 12}: b"),
        ({"refuses": [{"model": "x", "weights": "y", "reason": "no weights 'x'"}]}, "workers",
         Level.WARN, "no weights 'x'"),
        ({"ttl_s": -1.0}, "workers", Level.WARN, "fell silent within the hour: b"),
    ],
)  # fmt: skip
def test_one_that_differs_is_named(
    env: Environment, stats: dict[str, Any], check: str, level: Level, words: str
) -> None:
    register(env, "a")
    register(env, "b", **stats)
    said = found(env)
    assert said[check][0] is level
    assert words in said[check][1]
    assert [name for name, (at, _) in said.items() if at is not Level.OK] == [check]
