"""Sources and campaigns as a user adds them: what cannot work is refused, naming what can."""

from pathlib import Path

import pytest

from adloom.campaign import Selection
from adloom.errors import FeedError, InvalidInputError, NotFoundError, SpecError
from db.queries import campaigns, catalog
from storage.local import LocalStore
from tasks.campaigns import apply_file
from tasks.catalog import add_source, read_rows
from tasks.environment import Environment, Rendering
from tasks.estimates import estimate
from tests.db.world import World, campaign

WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    rendering = Rendering(weights_root=WEIGHTS)
    return Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")


def test_a_sources_options_are_stored_and_used_by_its_syncs(
    env: Environment, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("id|title;image_link\n", encoding="utf-8")
    options = {"delimiter": "pipe", "max_bytes": "1000"}
    added = add_source(env, "pipes", "feed", str(feed), options=options)
    assert added.options == options
    with pytest.raises(FeedError, match="the feed has: id, title;image_link"):
        read_rows(env, "pipes")

    feed.write_text("id|title|image_link\n1|Mug|mug.jpg\n", encoding="utf-8")
    assert read_rows(env, "pipes").counts.added == 1


def test_a_source_that_is_added_again_without_options_keeps_those_it_has(
    env: Environment, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.csv"
    feed.touch()
    options = {"delimiter": "pipe"}
    assert add_source(env, "pipes", "feed", str(feed), options=options).options == options
    moved = tmp_path / "moved.csv"
    moved.touch()
    again = add_source(env, "pipes", "feed", str(moved))
    assert (again.location, again.options) == (str(moved), options)
    other = {"max_bytes": "1000"}
    assert add_source(env, "pipes", "feed", str(moved), options=other).options == other
    assert add_source(env, "new", "feed", str(moved)).options == {}


def test_the_options_that_are_offered_can_all_be_given(env: Environment, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.touch()
    with pytest.raises(InvalidInputError, match="there are allow_outside") as caught:
        add_source(env, "wrong", "feed", str(feed), options={"sep": "tab"})
    assert "delivery" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sep": "tab"}, "'sep'.*allow_outside: true or false; delimiter: tab"),
        ({"max_bytes": "lots"}, "'max_bytes' cannot be 'lots'.*a number above 0"),
        ({"delivery": "delta"}, "--delta"),
    ],
)
def test_an_option_that_cannot_be_is_refused_and_nothing_is_stored(
    env: Environment, tmp_path: Path, options: dict[str, str], said: str
) -> None:
    feed = tmp_path / "feed.tsv"
    feed.touch()
    with pytest.raises(InvalidInputError, match=said):
        add_source(env, "wrong", "feed", str(feed), options=options)
    with env.database.transaction() as tx:
        assert [s.slug for s in catalog.list_sources(tx, env.workspace_id)] == ["shop"]


CAMPAIGN = """\
campaign: spring
selection:
  sources: [shop, shpo]
scenes:
  - beach
  - dessk
formats: ['1:1']
model: maxi
"""


def test_a_campaign_that_names_what_is_not_there_is_refused_by_file_line_and_field(
    env: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "spring.yaml"
    file.write_text(CAMPAIGN, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        apply_file(env, file)
    assert caught.value.where == str(file)
    found = {(p.line, p.field): p.message for p in caught.value.problems}
    assert set(found) == {(8, "model"), (6, "scenes[1]"), (3, "selection.sources[1]")}
    assert "'shpo'; there are: shop" in found[3, "selection.sources[1]"]
    assert "did you mean desk" in found[6, "scenes[1]"]
    assert "there are: mini" in found[8, "model"]
    with env.database.transaction() as tx, pytest.raises(NotFoundError):
        campaigns.get(tx, env.workspace_id, "spring")


def test_a_campaign_whose_sources_are_there_is_applied_and_says_from_what_it_unpins(
    env: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "spring.yaml"
    right = CAMPAIGN.replace(", shpo", "").replace("dessk", "desk").replace("maxi", "mini")
    file.write_text(right, encoding="utf-8")
    first = apply_file(env, file)
    assert (first.change, first.unpinned_from) == ("created", None)
    with env.database.transaction() as tx:
        read = campaigns.get(tx, env.workspace_id, "spring")
        campaigns.pin_model(tx, env.workspace_id, read, "abc")
    again = apply_file(env, file)
    assert (again.change, again.unpinned_from) == ("unchanged", "abc")
    assert apply_file(env, file).unpinned_from is None


def test_a_stored_campaign_with_an_unknown_source_is_refused_when_it_is_planned(
    env: Environment,
) -> None:
    spec = campaign(selection=Selection(sources=("gone",)))
    with env.database.transaction() as tx:
        campaigns.apply(tx, env.workspace_id, spec)
    with pytest.raises(
        SpecError, match=r"selection.sources\[0\].*'gone'; there are: shop"
    ) as caught:
        estimate(env, "spring")
    assert caught.value.where == "campaign 'spring'"
