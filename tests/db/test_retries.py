"""A retry opens again what failed: what was chosen, of runs that have ended, and not forever."""

from pathlib import Path

import pytest

from adloom.errors import NotFoundError
from adloom.records import FailureFilter
from adloom.states import RunState, Trigger
from db.queries import campaigns, cancelling, leases, runs
from tasks import retrying
from tasks.environment import Environment
from tests.db.coordinating import SPEC, environment_of, held_by, partly_done
from tests.db.world import World, campaign


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    return environment_of(world, tmp_path)


@pytest.mark.parametrize(
    ("chosen", "reopened"),
    [
        (FailureFilter(), 1),
        (FailureFilter(error_class="RenderError"), 1),
        (FailureFilter(reason="no PICTURE"), 1),
        (FailureFilter(reason="RenderError", newer_than_s=3600), 1),
        (FailureFilter(error_class="ModelError"), 0),
        (FailureFilter(reason="out of memory"), 0),
        (FailureFilter(older_than_s=3600), 0),
        (FailureFilter(run_id=10**9), 1),
    ],
)
def test_a_retry_opens_what_was_chosen_of_its_own_run(
    world: World, env: Environment, chosen: FailureFilter, reopened: int
) -> None:
    run_id = partly_done(world)
    with world.database.transaction() as tx:
        cancelling.cancel(tx, run_id)
    lease = held_by(world, run_id, "second")
    if reopened:
        assert retrying.reopen(env, lease, chosen).items == reopened
        return
    with pytest.raises(NotFoundError, match=r"nothing to retry.*adloom report"):
        retrying.reopen(env, lease, chosen)


def fail_all(world: World, run_id: int, error_class: str, *, retryable: bool) -> None:
    """Renders what waits, in vain."""
    for batch_id in world.cut(run_id):
        lease = world.claimed(batch_id)
        with world.database.transaction() as tx:
            for work in leases.work(tx, lease):
                leases.mark_failed(
                    tx, lease, work.render_id, error_class=error_class, message="no picture",
                    retryable=retryable,
                )  # fmt: skip
            leases.finish(tx, lease)
    world.judge(run_id)


def test_every_failure_is_kept_and_a_retry_stops_at_the_campaigns_attempts(
    world: World, env: Environment
) -> None:
    spec = campaign(formats=("1:1",), max_attempts=2)
    run_id = world.run(spec)
    fail_all(world, run_id, "OutOfMemoryError", retryable=True)
    lease = held_by(world, run_id, "second")
    transient = FailureFilter(retryable_only=True)
    assert retrying.reopen(env, lease, transient).items == 6
    fail_all(world, run_id, "RenderError", retryable=True)

    with pytest.raises(NotFoundError, match=r"all 6 failed items.*tried 2 times.*--force"):
        retrying.reopen(env, lease, FailureFilter())
    for failed in retrying.failures(env, run_id, FailureFilter()):
        assert [t.error_class for t in failed.tries] == ["OutOfMemoryError", "RenderError"]
        assert [(t.attempts, t.worker) for t in failed.tries] == [(1, "worker"), (2, "worker")]
        assert (failed.attempts, failed.external_id[0], failed.format) == (2, "p", "1:1")

    # Nor does the next run try them: they fail in it as they are.
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.COMPLETE)
    again = world.run(spec)
    assert world.cut(again) == []
    assert retrying.reopen(env, lease, FailureFilter(), force=True).items == 6


def test_a_deadly_render_is_tried_again_only_where_it_is_named(
    world: World, env: Environment
) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    fail_all(world, run_id, "DeadlyRenderError", retryable=False)
    lease = held_by(world, run_id, "second")
    with pytest.raises(NotFoundError, match=r"or end their workers"):
        retrying.reopen(env, lease, FailureFilter())
    assert retrying.with_failures(env, FailureFilter()) == ()
    named = FailureFilter(error_class="DeadlyRenderError")
    assert retrying.reopen(env, lease, named).items == 6


def test_a_retry_of_all_campaigns_takes_the_newest_run_of_each_that_has_ended(
    world: World, env: Environment
) -> None:
    first, second = world.run(campaign("a")), world.run(campaign("b"))
    for run_id in (first, second):
        fail_all(world, run_id, "RenderError", retryable=True)
    with world.database.transaction() as tx:
        runs.set_state(tx, first, RunState.COMPLETE)
    assert retrying.with_failures(env, FailureFilter(retryable_only=True)) == (first,)
    assert retrying.with_failures(env, FailureFilter(retryable_only=True), "b") == ()
    assert retrying.with_failures(env, FailureFilter(error_class="ModelError")) == ()


def test_a_retry_of_a_run_whose_planning_was_interrupted_says_how_to_go_on(
    world: World, env: Environment
) -> None:
    with world.database.transaction() as tx:
        campaigns.apply(tx, world.ws, SPEC)
        run_id = runs.create(tx, world.ws, "spring", trigger=Trigger.MANUAL, weights_hash=None)
    lease = held_by(world, run_id, "second")
    with pytest.raises(NotFoundError, match=r"nothing to retry.*adloom run spring"):
        retrying.reopen(env, lease, FailureFilter())
