"""Which slots a run takes: `refresh` looks at each slot, not at its product."""

from dataclasses import replace

import pytest

from adloom.campaign import CampaignSpec, Finishing, Refresh
from adloom.finishing_spec import ImageFormat
from adloom.scenes import ScenePack
from db.queries import cancelling, renditions, runs, scenes
from tests.db.world import REVISION, World, record, scene

Slot = tuple[str, str, str]

FIRST = CampaignSpec("spring", "Spring", ("beach",), ("1:1",))


@pytest.fixture
def rendered(world: World) -> World:
    """Three products whose slots of `FIRST` are rendered."""
    world.render_all(world.run(FIRST))
    return world


def due(world: World, spec: CampaignSpec, refresh: Refresh) -> set[Slot]:
    items = world.planned(replace(spec, refresh=refresh))
    names = world.names()
    return {(names[i.slot.product_id], i.slot.scene_slug, i.slot.format_slug) for i in items}


def latest_run(world: World) -> int:
    with world.database.transaction() as tx:
        found = runs.latest(tx, world.ws, FIRST.slug)
    assert found is not None
    return found.id


def slots(*products: str, scene: str = "beach", format: str = "1:1") -> set[Slot]:
    return {(product, scene, format) for product in products}


ALL = ("p0", "p1", "p2")


def test_nothing_is_due_where_nothing_changed(rendered: World) -> None:
    assert due(rendered, FIRST, Refresh.NEW) == due(rendered, FIRST, Refresh.CHANGED) == set()
    assert due(rendered, FIRST, Refresh.ALL) == slots(*ALL)


def test_a_scene_or_format_that_is_added_makes_only_its_own_slots_due(rendered: World) -> None:
    more = replace(FIRST, scenes=("beach", "desk"), formats=("1:1", "9:16"))
    added = (
        slots(*ALL, scene="desk")
        | slots(*ALL, format="9:16")
        | slots(*ALL, scene="desk", format="9:16")
    )
    assert due(rendered, more, Refresh.NEW) == due(rendered, more, Refresh.CHANGED) == added


def test_a_variant_that_is_added_is_due_alone(rendered: World) -> None:
    items = rendered.planned(replace(FIRST, variants=2, refresh=Refresh.NEW))
    assert [i.slot.variant for i in items] == [1, 1, 1]


def test_a_product_that_is_added_is_due_and_one_that_changed_only_as_changed(
    rendered: World,
) -> None:
    rendered.sync([record("p1", title="Another title"), record("p2", price="1.00"), record("p3")])
    rendered.fetch_photos()
    assert due(rendered, FIRST, Refresh.NEW) == slots("p3")
    assert due(rendered, FIRST, Refresh.CHANGED) == slots("p1", "p3")


def test_a_changed_photo_is_due_until_it_is_rendered_and_so_is_the_old_one_once_it_is_back(
    rendered: World,
) -> None:
    def photographed(suffix: str) -> None:
        rendered.fetch_photos(
            lambda ref: ref.location + (suffix if ref.external_id == "p1" else "")
        )

    photographed(" new")
    assert due(rendered, FIRST, Refresh.CHANGED) == slots("p1")
    assert due(rendered, FIRST, Refresh.NEW) == set()
    rendered.render_all(rendered.run(replace(FIRST, refresh=Refresh.CHANGED)))
    assert due(rendered, FIRST, Refresh.CHANGED) == set()
    photographed("")
    assert due(rendered, FIRST, Refresh.CHANGED) == slots("p1")


def test_a_changed_scene_makes_the_slots_of_that_scene_due(world: World) -> None:
    spec = replace(FIRST, scenes=("beach", "desk"))
    world.render_all(world.run(spec))
    changed = replace(scene("desk", 2), prompt="a photo of {title} on a marble desk")
    with world.database.transaction() as tx:
        scenes.upsert_pack(tx, world.ws, ScenePack("base", 2, (scene("beach"), changed)))
    assert due(world, spec, Refresh.NEW) == set()
    assert due(world, spec, Refresh.CHANGED) == slots(*ALL, scene="desk")


def test_a_new_version_of_a_scene_that_asks_for_the_same_pixels_makes_nothing_due(
    rendered: World,
) -> None:
    with rendered.database.transaction() as tx:
        renamed = scene("beach", 2, title="Another title")
        scenes.upsert_pack(tx, rendered.ws, ScenePack("base", 2, (renamed, scene("desk"))))
    assert due(rendered, FIRST, Refresh.CHANGED) == set()


def test_changed_finishing_is_due_and_changed_gates_are_not(rendered: World) -> None:
    jpeg = replace(FIRST, finishing=Finishing(encoding=ImageFormat.JPEG))
    assert due(rendered, jpeg, Refresh.CHANGED) == slots(*ALL)
    assert due(rendered, jpeg, Refresh.NEW) == set()
    assert due(rendered, replace(FIRST, gates=()), Refresh.CHANGED) == set()


def test_what_failed_to_render_is_still_due(world: World) -> None:
    world.render_all(world.run(FIRST), fails=lambda n: n == 1)
    for refresh in (Refresh.NEW, Refresh.CHANGED):
        assert len(due(world, FIRST, refresh)) == 1


def test_what_was_rendered_and_then_cancelled_is_still_due(rendered: World) -> None:
    run_id = latest_run(rendered)
    rendered.judge(run_id, at_most=2)
    with rendered.database.transaction() as tx:
        assert cancelling.cancel(tx, run_id).items == 1
    for refresh in (Refresh.NEW, Refresh.CHANGED):
        assert len(due(rendered, FIRST, refresh)) == 1
    again = rendered.run(replace(FIRST, refresh=Refresh.NEW))
    assert rendered.render_all(again) == 0
    rendered.judge(again)
    assert due(rendered, FIRST, Refresh.NEW) == due(rendered, FIRST, Refresh.CHANGED) == set()


def test_what_was_rendered_and_could_not_be_finished_is_still_due(world: World) -> None:
    run_id = world.run(FIRST)
    world.render_all(run_id, finishes=False)
    with world.database.transaction() as tx:
        work = renditions.unfinished(tx, run_id, scorer_revision=REVISION).work[0]
        renditions.record_failure(
            tx, work.render_id, work.finishing.finish_hash, error_class="PhotoError",
            message="truncated", retryable=False,
        )  # fmt: skip
    world.finish_all(run_id)
    world.judge(run_id)
    for refresh in (Refresh.NEW, Refresh.CHANGED):
        assert len(due(world, FIRST, refresh)) == 1


def test_a_slot_whose_next_draw_was_cancelled_is_due_from_its_first(world: World) -> None:
    spec = replace(FIRST, draws=2)
    run_id = world.run(spec)
    world.render_all(run_id)
    world.judge(run_id, rejects=lambda n: n == 0)
    assert world.draw_again(run_id, 2) == 1
    with world.database.transaction() as tx:
        cancelling.cancel(tx, run_id)
    assert len(due(world, spec, Refresh.NEW)) == 1


def test_a_run_that_came_to_nothing_leaves_what_an_earlier_one_made(rendered: World) -> None:
    rendered.judge(latest_run(rendered))
    again = rendered.run(FIRST)
    with rendered.database.transaction() as tx:
        assert cancelling.cancel(tx, again).items == 3
    assert due(rendered, FIRST, Refresh.NEW) == due(rendered, FIRST, Refresh.CHANGED) == set()


def test_a_slot_that_was_drawn_again_is_not_due(world: World) -> None:
    spec = replace(FIRST, draws=2)
    run_id = world.run(spec)
    world.render_all(run_id)
    world.judge(run_id, rejects=lambda _: True)
    assert world.draw_again(run_id, 2) == 3
    world.render_all(run_id)
    assert due(world, spec, Refresh.CHANGED) == due(world, spec, Refresh.NEW) == set()


def test_another_campaigns_renders_are_reused_but_do_not_count_as_this_ones_slots(
    rendered: World,
) -> None:
    summer = replace(FIRST, slug="summer")
    assert due(rendered, summer, Refresh.NEW) == slots(*ALL)
    assert rendered.render_all(rendered.run(replace(summer, refresh=Refresh.NEW))) == 0
    assert due(rendered, summer, Refresh.NEW) == set()
