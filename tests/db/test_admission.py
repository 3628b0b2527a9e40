"""A worker joins a fleet, or says in one line why it may not; what was there stays as it was."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adloom.errors import ConfigurationError
from adloom.fleet_builds import Build
from adloom.records import BatchRecord, WorkerRecord
from adloom.states import WorkerState
from db.queries import batches, clock, runs, workers
from storage.local import LocalStore
from tasks import fleet
from tasks.builds import own_build
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign
from workers.membership import Membership, Place


def member(
    world: World,
    folder: Path,
    name: str,
    build: Build,
    pool: str = "gpu",
    now: Callable[[], float] = time.time,
) -> Membership:
    env = Environment(
        world.database, LocalStore(folder), world.slug, world.ws,
        Rendering(weights_root=folder), f"{name}:{build.renderer}", worker=name,
    )  # fmt: skip
    return Membership(env, Place(name, pool, "host", 1, "cpu"), build, dict, now=now)


def batch(world: World, batch_id: int) -> BatchRecord:
    with world.database.transaction() as tx:
        return batches.get(tx, batch_id)


def test_another_renderer_version_is_refused_until_the_fleet_has_stopped(
    world: World, tmp_path: Path
) -> None:
    newer = replace(own_build(), adloom="9.0.0", renderer="99")
    [batch_id] = world.cut(world.run(campaign(formats=("1:1",))))
    with member(world, tmp_path, "a", own_build()) as a:
        world.claimed(batch_id, "a:1")
        before = batch(world, batch_id)
        for pool in ("gpu", "control"):
            with (
                pytest.raises(ConfigurationError, match=r"version 1 \(a\), this .*9\.0\.0.* 99"),
                member(world, tmp_path, "b", newer, pool),
            ):
                pass
        assert batch(world, batch_id) == before
        assert [w.name for w in listed(world)] == ["a"]
        a.say(WorkerState.DRAINING)
    with member(world, tmp_path, "b", newer):
        [_, b] = listed(world)
        assert Build.of(b) == newer


def listed(world: World) -> list[WorkerRecord]:
    with world.database.transaction() as tx:
        return list(workers.listed(tx, world.ws))


def test_a_new_process_may_bring_its_own_name_another_version(world: World, tmp_path: Path) -> None:
    with member(world, tmp_path, "a", own_build()):
        newer = replace(own_build(), renderer="99")
        with member(world, tmp_path, "a", newer):
            assert Build.of(listed(world)[0]) == newer


def test_a_coordinator_hands_nothing_to_workers_of_another_version(
    world: World, tmp_path: Path
) -> None:
    run_id = world.run(campaign())
    world.cut(run_id)
    with world.database.transaction() as tx:
        run = runs.get(tx, world.ws, run_id)
    with (
        member(world, tmp_path, "a", replace(own_build(), renderer="99")) as a,
        pytest.raises(ConfigurationError, match=r"version 99 \(a\), this process"),
    ):
        fleet.size(a._env, run)
    with world.database.transaction() as tx:
        assert runs.get(tx, world.ws, run_id).state == run.state
        assert runs.conservation(tx, run_id).holds


def test_a_clock_is_held_against_that_of_postgres(world: World, tmp_path: Path) -> None:
    def an_hour_late() -> float:
        return time.time() - 3600

    with world.database.transaction() as tx:
        assert abs(clock.skew_s(tx)) < 1.0
        assert clock.skew_s(tx, clock=an_hour_late) == pytest.approx(-3600, abs=1.0)
    [batch_id] = world.cut(world.run(campaign(formats=("1:1",))))
    before = batch(world, batch_id)
    with (
        pytest.raises(ConfigurationError, match=r"36\d\d\.\d s behind Postgres'.*NTP"),
        member(world, tmp_path, "late", own_build(), now=an_hour_late),
    ):
        pass
    assert listed(world) == []
    assert batch(world, batch_id) == before
