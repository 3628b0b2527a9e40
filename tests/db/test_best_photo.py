"""`photo: best`: one photo of all of a product's, in the main one's place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adloom.campaign import CampaignSpec, Selection
from adloom.campaign_document import parse_campaign
from adloom.catalog import PhotoRef, PhotoRole
from adloom.errors import SpecError
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import encode
from adloom.keys import mask_key, photo_key
from db.queries import cutouts, photo_quality, selection
from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tasks.photo_quality import score_missing
from tests.db.world import World, campaign, cutout, record, sha
from tests.unit.scoring.test_photo_quality import packshot, with_text

BEST = campaign(selection=Selection(photo="best"))
SIDE = "/photos/side.png"


@pytest.fixture
def several(world: World) -> World:
    """p0 has a second photo; p1 and p2 have one."""
    world.sync([record("p0", extra=(PhotoRef(SIDE, PhotoRole.ADDITIONAL, 1),))])
    world.fetch_photos()
    return world


def shown(world: World, spec: CampaignSpec) -> dict[str, tuple[str, str]]:
    with world.database.transaction() as tx:
        found = list(selection.plannable(tx, world.ws, spec))
    return {p.external_id: (p.photo_role.value, p.photo_sha256) for p in found}


def score(world: World, location: str, value: float) -> None:
    with world.database.transaction() as tx:
        for photo in photo_quality.unscored(tx, world.ws, "v1", limit=10):
            if photo.photo_sha256 == sha(location):
                photo_quality.put(tx, world.ws, photo, version="v1", score=value, parts={})


def test_only_photos_among_which_there_is_a_choice_are_scored_and_once(several: World) -> None:
    def unscored(version: str = "v1") -> set[str]:
        with several.database.transaction() as tx:
            found = photo_quality.unscored(tx, several.ws, version, limit=10)
        return {p.photo_sha256 for p in found}

    assert unscored() == {sha("/photos/p0.png"), sha(SIDE)}
    score(several, SIDE, 0.9)
    assert unscored() == {sha("/photos/p0.png")}
    assert unscored("v2") == {sha("/photos/p0.png"), sha(SIDE)}
    with several.database.transaction() as tx:  # another mask, another score
        cutouts.upsert(tx, several.ws, [cutout(sha(SIDE), "another", version="u2netp-2")])
    assert unscored() == {sha("/photos/p0.png"), sha(SIDE)}


def test_the_best_photo_stands_in_the_main_ones_place(several: World) -> None:
    score(several, SIDE, 0.9)
    score(several, "/photos/p0.png", 0.4)
    assert shown(several, BEST) == {
        "p0": ("main", sha(SIDE)),
        "p1": ("main", sha("/photos/p1.png")),
        "p2": ("main", sha("/photos/p2.png")),
    }
    assert shown(several, campaign())["p0"] == ("main", sha("/photos/p0.png"))


def test_without_scores_the_main_photo_is_the_best(several: World) -> None:
    assert shown(several, BEST) == shown(several, campaign())


def test_another_best_photo_fills_the_same_slots_anew(several: World) -> None:
    before = several.run(BEST)
    assert several.render_all(before) == 12
    score(several, SIDE, 0.9)
    after = several.run(BEST)
    assert several.render_all(after) == 4
    assert {i.slot for i in several.planned(BEST)} == {i.slot for i in several.planned(campaign())}


def test_a_product_whose_best_photo_is_its_only_usable_one_is_planned(world: World) -> None:
    world.sync([record("new", extra=(PhotoRef(SIDE, PhotoRole.ADDITIONAL, 1),))])
    world.fetch_photos(lambda p: p.location)
    with world.database.transaction() as tx:
        skipped = list(selection.unplannable(tx, world.ws, BEST))
    assert skipped == []
    world.sync([record("bare")])
    with world.database.transaction() as tx:
        skipped = list(selection.unplannable(tx, world.ws, BEST))
    assert [(s.external_id, s.reason) for s in skipped] == [("bare", "PHOTO_NOT_FETCHED")]


def test_a_clean_packshot_is_chosen_before_one_with_a_badge(several: World, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    photo, mask = packshot()
    for location, pixels in (("/photos/p0.png", with_text(photo)), (SIDE, photo)):
        name = sha(location)
        store.put(photo_key("w", name), encode(pixels, ImageFormat.PNG), content_type="image/png")
        store.put(
            mask_key("w", sha(f"mask of {name}")),
            encode(np.ascontiguousarray(mask), ImageFormat.PNG),
            content_type="image/png",
        )
    env = Environment(several.database, store, "w", several.ws, Rendering(tmp_path), "tests")
    assert score_missing(env) == 2
    assert score_missing(env) == 0
    assert shown(several, BEST)["p0"] == ("main", sha(SIDE))


TEXT = "campaign: spring\nscenes: [beach]\nformats: ['1:1']\nselection: {%s}\n"


def test_a_campaign_without_a_choice_of_photo_is_the_one_it_was() -> None:
    plain = parse_campaign(TEXT % "", where="a.yaml")
    assert "photo" not in plain.to_json()["selection"]
    assert parse_campaign(TEXT % "photo: main", where="a.yaml").content_hash == plain.content_hash
    best = parse_campaign(TEXT % "photo: best", where="a.yaml")
    assert best.content_hash != plain.content_hash
    assert CampaignSpec.from_json(best.to_json()) == best
    assert CampaignSpec.from_json(plain.to_json()) == replace(plain)
    with pytest.raises(SpecError, match="photo_roles"):
        parse_campaign(TEXT % "photo: best, photo_roles: [additional]", where="a.yaml")
