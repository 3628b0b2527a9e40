"""A run whose budget is spent begins nothing more and loses nothing; the next one goes on."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from adloom.campaign import Budget
from adloom.catalog import Price
from adloom.errors import ConfigurationError
from adloom.records import FailureFilter, RunLease
from adloom.states import BatchState, Disposition, Outcome, RenderState
from db.queries import batches, creatives, leases, reaping, retrying, run_leases, runs
from storage.local import LocalStore
from tasks import judging
from tasks import runs as run_tasks
from tasks.budgets import BudgetWatch
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign, stored

ONE_SIZE = campaign(formats=("1:1",))  # six renders, of 0.1 s each


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    rendering = Rendering(tmp_path / "weights", lease_s=1.0)
    return Environment(
        world.database, LocalStore(tmp_path), world.slug, world.ws, rendering, owner="me"
    )


def held(world: World, run_id: int) -> RunLease:
    with world.database.transaction() as tx:
        lease = run_leases.claim(tx, run_id, "me", 60)
    assert lease is not None
    return lease


def make(world: World, batch_id: int) -> None:
    """Renders a batch."""
    lease = world.claimed(batch_id)
    with world.database.transaction() as tx:
        for work in leases.work(tx, lease):
            leases.mark_rendered(tx, lease, work.render_id, stored(work.render_id))
        leases.finish(tx, lease)


def watch(env: Environment, run_id: int) -> BudgetWatch:
    return BudgetWatch(env, run_tasks.require_run(env, run_id))


A_DOLLAR_A_SECOND = Price(Decimal("3600.00"), "USD")


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(images=2), "2 images made, of 2"),
        (Budget(gpu_seconds=0.15), "0.2 GPU-seconds used, of 0.15"),
        (Budget(money=Price(Decimal("0.20"), "USD")), "0.20 USD spent, of 0.20 USD"),
    ],
)
def test_what_is_under_way_ends_and_the_rest_is_left_to_the_next_run(
    world: World, env: Environment, budget: Budget, said: str
) -> None:
    env = replace(env, gpu_hour_price=A_DOLLAR_A_SECOND)
    run_id = world.run(replace(ONE_SIZE, budget=budget))
    lease = held(world, run_id)
    first, second, third = world.cut(run_id, size=2)
    under_way = world.claimed(second, "busy")
    assert not watch(env, run_id).is_spent(lease)
    make(world, first)

    watched = watch(env, run_id)
    assert watched.is_spent(lease)
    with world.database.transaction() as tx:
        assert batches.get(tx, third).state is BatchState.CANCELLED
        assert batches.remaining(tx, run_id) == {RenderState.RENDERED: 2, RenderState.LEASED: 2}
        for work in leases.work(tx, under_way):
            leases.mark_rendered(tx, under_way, work.render_id, stored(work.render_id))
        leases.finish(tx, under_way)
    assert watched.is_spent(lease)
    world.finish_all(run_id)
    world.judge(run_id)

    summary = run_tasks.complete(env, lease)
    assert said in (summary.run.stopped_for or "")
    assert summary.outcomes == {Outcome.APPROVED: 4, Outcome.CANCELLED: 2}
    with world.database.transaction() as tx:
        assert runs.conservation(tx, run_id).holds
        cancelled = creatives.of_run(tx, run_id, outcomes=(Outcome.CANCELLED,))
        reasons = {(c.error_class, said in (c.error_message or "")) for c in cancelled}
    assert reasons == {("BudgetReachedError", True)}

    again = world.run(ONE_SIZE)
    assert world.render_all(again) == 2
    world.judge(again)
    with world.database.transaction() as tx:
        made = runs.summary(tx, world.ws, again)
    assert made.outcomes == {Outcome.APPROVED: 6}
    assert made.dispositions == {Disposition.NEW: 2, Disposition.REUSED: 4}


def test_a_worker_lost_after_the_budget_was_spent_leaves_nothing_open(
    world: World, env: Environment
) -> None:
    run_id = world.run(replace(ONE_SIZE, budget=Budget(images=3)))
    lease = held(world, run_id)
    first, second = world.cut(run_id, size=3)
    world.claimed(second, "dies")
    make(world, first)
    watched = watch(env, run_id)
    assert watched.is_spent(lease)
    world.expire(second)
    with world.database.transaction() as tx:
        reaping.reap(tx, world.ws, grace_s=0.0)
    assert watched.is_spent(lease)
    with world.database.transaction() as tx:
        assert not batches.is_awaited(tx, run_id)
        assert batches.get(tx, second).state is BatchState.CANCELLED


def test_a_run_that_stops_takes_no_render_from_another(world: World, env: Environment) -> None:
    run_id = world.run(replace(ONE_SIZE, budget=Budget(images=2)))
    other = world.run(replace(ONE_SIZE, slug="other"))
    lease = held(world, run_id)
    first, *_ = world.cut(run_id, size=2)
    make(world, first)
    assert watch(env, run_id).is_spent(lease)
    with world.database.transaction() as tx:
        states = batches.remaining(tx, other)
    assert states == {RenderState.RENDERED: 2, RenderState.PENDING: 4}
    assert world.render_all(other) == 4


def test_a_stopped_run_draws_nothing_again_and_one_that_is_retried_has_its_budget_anew(
    world: World, env: Environment
) -> None:
    spec = replace(ONE_SIZE, budget=Budget(images=3), draws=3)
    run_id = world.run(spec)
    lease = held(world, run_id)
    world.render_all(run_id, fails=lambda n: n == 1)
    world.judge(run_id, rejects=lambda _: True)
    assert watch(env, run_id).is_spent(lease)
    assert run_tasks.require_run(env, run_id).stopped_for is None, "all of it was made"
    assert judging.draw_again(env, lease, run_tasks.require_run(env, run_id)) == 0
    assert run_tasks.complete(env, lease).run.stopped_for
    with world.database.transaction() as tx:
        [failed] = retrying.failed_items(tx, world.ws, FailureFilter(run_id))
        retrying.reopen(tx, world.ws, [failed.run_item_id])
    assert run_tasks.require_run(env, run_id).stopped_for is None
    assert not watch(env, run_id).is_spent(lease)


@pytest.mark.parametrize(
    ("price", "said"),
    [(None, "is not set"), (Price(Decimal("2.50"), "EUR"), "is in EUR")],
)
def test_a_budget_of_money_needs_a_price_in_its_currency(
    world: World, env: Environment, price: Price | None, said: str
) -> None:
    run_id = world.run(replace(ONE_SIZE, budget=Budget(money=Price(Decimal("10.00"), "USD"))))
    with pytest.raises(ConfigurationError, match=rf"'spring'.*10.00 USD.*PRICE {said}.*in USD"):
        watch(replace(env, gpu_hour_price=price), run_id)
