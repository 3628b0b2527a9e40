"""Which products a campaign selects, and the scenes and campaigns it names."""

from dataclasses import replace

import pytest

from adloom.campaign import Selection
from adloom.catalog import PhotoRef, PhotoRole
from adloom.errors import ConflictError, NotFoundError
from adloom.records import CampaignApplied, Change
from adloom.scenes import ScenePack
from db.queries import campaigns, scenes, selection
from tests.db.world import World, campaign, record, scene


def names(world: World, chosen: Selection) -> list[str]:
    with world.database.transaction() as tx:
        found = list(selection.plannable(tx, world.ws, campaign(selection=chosen)))
    return [p.external_id for p in found]


@pytest.mark.parametrize(
    ("category", "matches"),
    [
        ("lamps", True),
        ("Lamps", True),
        ("home > lamps", True),
        ("home", True),
        ("lamp", False),
        ("lamps home", False),
        ("kitchen", False),
    ],
)
def test_categories_match_by_whole_words(world: World, category: str, matches: bool) -> None:
    assert (names(world, Selection(categories=(category,))) != []) is matches


def test_all_conditions_of_a_selection_must_hold(world: World) -> None:
    assert names(world, Selection()) == ["p0", "p1", "p2"]
    assert names(world, Selection(external_ids=("p1", "p2"), limit=1)) == ["p1"]
    assert names(world, Selection(sources=("shop",), brands=("ACME",))) == ["p0", "p1", "p2"]
    assert names(world, Selection(sources=("other",))) == []
    assert names(world, Selection(in_stock_only=True)) == []


def test_inactive_products_are_not_selected(world: World) -> None:
    world.sync([record("p0"), record("p1")], complete=True)
    assert names(world, Selection()) == ["p0", "p1"]


def test_each_photo_role_is_planned_with_its_first_photo(world: World) -> None:
    side = PhotoRef("/photos/side.png", PhotoRole.ADDITIONAL, 1)
    back = PhotoRef("/photos/back.png", PhotoRole.ADDITIONAL, 2)
    world.sync([record("p0", extra=(back, side))])
    world.fetch_photos()
    both = Selection(photo_roles=("main", "additional"), external_ids=("p0", "p1"))
    with world.database.transaction() as tx:
        found = list(selection.plannable(tx, world.ws, campaign(selection=both)))
        skipped = list(selection.unplannable(tx, world.ws, campaign(selection=both)))
    assert [(p.external_id, p.photo_role.value) for p in found] == [
        ("p0", "main"),
        ("p0", "additional"),
        ("p1", "main"),
    ]
    assert (found[0].bbox_size.width, found[0].colours) == (200, ("red", "white"))
    assert [(s.external_id, s.reason) for s in skipped] == [("p1", "NO_PHOTO")]


def test_products_that_cannot_be_planned_say_why(world: World) -> None:
    world.sync([record("new")])
    with world.database.transaction() as tx:
        skipped = list(selection.unplannable(tx, world.ws, campaign()))
    assert [(s.external_id, s.reason) for s in skipped] == [("new", "PHOTO_NOT_FETCHED")]


def test_a_scene_pack_is_stored_once_and_its_versions_never_change(world: World) -> None:
    pack = ScenePack("base", 1, (scene("beach"), scene("beach", 2, title="Newer")))
    with world.database.transaction() as tx:
        assert scenes.upsert_pack(tx, world.ws, pack) == 1
        assert scenes.upsert_pack(tx, world.ws, pack) == 0
        assert scenes.get(tx, world.ws, "beach") == scene("beach", 2, title="Newer")
        assert scenes.get(tx, world.ws, "beach", 1) == scene("beach")
        assert [s.slug for s in scenes.list_latest(tx, world.ws)] == ["beach", "desk"]
        with pytest.raises(NotFoundError, match="version 7"):
            scenes.get(tx, world.ws, "beach", 7)
        with pytest.raises(NotFoundError, match=r"'baech'.*did you mean beach"):
            scenes.latest(tx, world.ws, ["desk", "baech"])
        changed = ScenePack("base", 1, (scene("beach", 1, title="Changed"),))
        with pytest.raises(ConflictError, match="give the changed template version 2"):
            scenes.upsert_pack(tx, world.ws, changed)


def test_applying_a_campaign_creates_changes_or_leaves_it(world: World) -> None:
    spec = campaign(draws=2, selection=Selection(brands=("Acme",), limit=3))
    with world.database.transaction() as tx:
        specs = (spec, spec, replace(spec, seed=7))
        changes = [campaigns.apply(tx, world.ws, s).change for s in specs]
        assert changes == [Change.CREATED, Change.UNCHANGED, Change.CHANGED]
        assert campaigns.get(tx, world.ws, "spring").spec == replace(spec, seed=7)
        (only,) = campaigns.list_all(tx, world.ws)
        assert (only.model_revision, only.last_run_id) == (None, None)
        with pytest.raises(NotFoundError, match="did you mean spring"):
            campaigns.get(tx, world.ws, "sprong")


def test_a_campaign_stays_pinned_to_the_weights_of_its_first_run_until_it_is_applied_again(
    world: World,
) -> None:
    with world.database.transaction() as tx:
        assert campaigns.apply(tx, world.ws, campaign()).unpinned_from is None
        read = campaigns.get(tx, world.ws, "spring")
        assert campaigns.pin_model(tx, world.ws, read, "first") == "first"
        assert campaigns.pin_model(tx, world.ws, read, "second") == "first"
        assert campaigns.get(tx, world.ws, "spring").model_revision == "first"
        applied = campaigns.apply(tx, world.ws, campaign())
        assert applied == CampaignApplied(Change.UNCHANGED, "first")
        assert campaigns.get(tx, world.ws, "spring").model_revision is None
        assert campaigns.pin_model(tx, world.ws, read, "second") == "second"


def test_a_campaign_that_was_changed_since_it_was_read_is_not_pinned(world: World) -> None:
    with world.database.transaction() as tx:
        campaigns.apply(tx, world.ws, campaign())
        read = campaigns.get(tx, world.ws, "spring")
        campaigns.pin_model(tx, world.ws, read, "first")
    with world.database.transaction() as tx:
        applied = campaigns.apply(tx, world.ws, campaign(seed=7))
        assert applied == CampaignApplied(Change.CHANGED, "first")
        assert campaigns.pin_model(tx, world.ws, read, "first") is None
        assert campaigns.get(tx, world.ws, "spring").model_revision is None


def test_workspaces_see_nothing_of_one_another(world: World) -> None:
    other = World.open(world.database, f"{world.ws}-other")
    other.add_products(1)
    assert names(other, Selection()) == ["p0"]
    run_id = other.run(campaign())
    assert world.render_all(world.run(campaign())) == 12
    assert other.render_all(run_id) == 4
