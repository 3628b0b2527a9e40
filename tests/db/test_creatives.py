"""Creatives with all that made them, and the objects that the database refers to."""

import pytest

from adloom.errors import NotFoundError
from adloom.keys import mask_key, photo_key, render_key
from adloom.records import CreativeFilter, CreativeView
from adloom.states import Disposition, Outcome
from db.queries import creatives, garbage, workspaces
from tests.db.world import World, campaign, sha


@pytest.fixture
def run_id(world: World) -> int:
    """A judged run: 10 approved, 2 rejected."""
    run_id = world.run(campaign())
    world.render_all(run_id)
    world.judge(run_id, rejects=lambda n: n < 2)
    return run_id


def listed(world: World, **conditions: object) -> tuple[CreativeView, ...]:
    chosen = CreativeFilter(**conditions)  # pyright: ignore[reportArgumentType]
    with world.database.transaction() as tx:
        return creatives.list_creatives(tx, world.ws, chosen)


def test_filters_narrow_the_list(world: World, run_id: int) -> None:
    assert len(listed(world)) == len(listed(world, run_id=run_id)) == 12
    assert len(listed(world, outcome=Outcome.REJECTED)) == 2
    assert len(listed(world, scene="beach", format="1:1", product="p1")) == 1
    assert listed(world, campaign="summer") == ()
    assert listed(world, limit=5, offset=5) == listed(world)[5:10]


def test_the_newest_run_counts_unless_one_is_named(world: World, run_id: int) -> None:
    again = world.run(campaign())
    world.judge(again)
    assert {c.run_id for c in listed(world)} == {again}
    assert len(listed(world, run_id=run_id, outcome=Outcome.REJECTED)) == 2


def test_a_creative_shows_everything_that_made_it(world: World, run_id: int) -> None:
    view = listed(world, run_id=run_id, outcome=Outcome.REJECTED)[0]
    with world.database.transaction() as tx:
        assert creatives.get(tx, world.ws, view.creative_id) == view
        assert creatives.get(tx, world.ws, view.creative_id, run_id=run_id) == view
        with pytest.raises(NotFoundError):
            creatives.get(tx, world.ws, view.creative_id, run_id=run_id + 1)
    assert view.spec.fingerprint == view.fingerprint
    assert view.product.price is not None
    assert (view.product.source, view.product.price.currency) == ("shop", "EUR")
    assert view.render is not None
    assert view.render.timings == {"render_s": 0.1}
    assert view.rendition is not None
    assert view.rendition.details == {"detail_lock": "applied", "agreement": 0.9}
    assert view.scores["final.sharpness"] == 0.5
    assert [r.code for r in view.reasons] == ["MODEL_IDENTITY"]
    assert (view.disposition, view.attempts, view.error_class) == (Disposition.NEW, 0, None)


def test_a_run_streams_what_is_asked_for_in_a_fixed_order(world: World, run_id: int) -> None:
    with world.database.transaction() as tx:
        approved = list(creatives.of_run(tx, run_id))
        everything = list(creatives.of_run(tx, run_id, outcomes=tuple(Outcome)))
    assert len(approved) == 10
    assert len(everything) == 12
    keys = [(c.product.external_id, c.slot.scene_slug) for c in everything]
    assert keys == sorted(keys)


def test_only_unreferenced_objects_are_garbage(world: World, run_id: int) -> None:
    view = listed(world, run_id=run_id)[0]
    assert view.rendition is not None
    with world.database.transaction() as tx:
        slug = next(iter(garbage.referenced(tx, world.ws))).split("/")[0]
        assert workspaces.get(tx, slug) == workspaces.ensure(tx, slug) == world.ws
        kept = [
            photo_key(slug, view.spec.photo_sha256),
            mask_key(slug, view.spec.mask_sha256),
            render_key(slug, view.fingerprint),
            "somebody/elses/key",
        ]
        orphans = [
            photo_key(slug, sha("no")),
            mask_key(slug, sha("no")),
            render_key(slug, sha("no")),
            f"{slug}/renditions/{sha('no')}",
        ]
        assert garbage.unreferenced(tx, world.ws, kept + orphans) == set(orphans)
        assert set(kept[:3]) <= set(garbage.referenced(tx, world.ws))
        assert view.rendition.object_key in set(garbage.referenced(tx, world.ws))
