"""Sources and campaigns as a user adds them: what cannot work is refused, naming what can."""

from pathlib import Path

import pytest

from adloom.errors import FeedError, InvalidInputError
from db.queries import catalog
from storage.local import LocalStore
from tasks.catalog import add_source, read_rows
from tasks.environment import Environment, Rendering
from tests.db.world import World


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    rendering = Rendering(weights_root=tmp_path)
    return Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")


def test_a_sources_options_are_stored_and_used_by_its_syncs(
    env: Environment, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("id|title;image_link\n", encoding="utf-8")
    options = {"delimiter": "pipe", "max_bytes": "1000"}
    added = add_source(env, "pipes", "feed", str(feed), options=options)
    assert added.options == options
    with pytest.raises(FeedError, match="it has: id, title;image_link"):
        read_rows(env, "pipes")

    feed.write_text("id|title|image_link\n1|Mug|mug.jpg\n", encoding="utf-8")
    assert read_rows(env, "pipes").counts.added == 1


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
