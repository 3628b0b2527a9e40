"""A sync's chunks: two at a time, one after another where it matters."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adloom.catalog import ProductRecord, RejectedRow
from adloom.errors import AdloomError, ConflictError, FeedError
from db.queries import catalog, syncs
from storage.local import LocalStore
from tasks.catalog_chunks import ChunkWriter, stored
from tasks.environment import Environment, Rendering
from tests.db.world import World, record

Chunk = list[ProductRecord | RejectedRow]


@pytest.fixture
def writer(world: World, tmp_path: Path) -> ChunkWriter:
    store = LocalStore(tmp_path / "objects")
    env = Environment(world.database, store, world.slug, world.ws, Rendering(tmp_path), "test")
    with world.database.transaction() as tx:
        sync_id = syncs.begin(tx, world.ws, world.source_id)
    return ChunkWriter(env, sync_id, forgets_cursor=True)


def said(line: int, name: str, title: str) -> ProductRecord:
    return replace(record(name, title=title), line=line)


def title_of(world: World, name: str) -> str:
    with world.database.transaction() as tx:
        return catalog.product(tx, world.ws, name).title


def test_of_an_id_in_many_chunks_the_first_row_counts_however_long_its_chunk(
    world: World, writer: ChunkWriter
) -> None:
    many: Chunk = [said(n, f"q{n}", "x") for n in range(3000)]
    chunks: list[Chunk] = [[*many, said(3000, "same", "first")]]
    chunks += [[said(3000 + n, "same", f"later {n}")] for n in range(1, 9)]
    done = list(stored(writer, iter(chunks)))
    assert title_of(world, "same") == "first"
    assert [counts.added for counts, _ in done] == [3001, *[0] * 8]
    assert [[r.line for r in rejected] for _, rejected in done[1:]] == [
        [3000 + n] for n in range(1, 9)
    ]


def test_what_was_read_before_a_feed_broke_is_stored_and_then_the_error_raised(
    world: World, writer: ChunkWriter
) -> None:
    def feed() -> Iterator[Chunk]:
        for n in range(5):
            yield [said(n, f"q{n}", "x")]
        raise FeedError("the feed ends in the middle of a row")

    added: list[int] = []
    with pytest.raises(FeedError, match="middle"):
        added.extend(counts.added for counts, _ in stored(writer, feed()))
    assert title_of(world, "q4") == "x"
    with world.database.transaction() as tx:
        assert catalog.get_source(tx, world.ws, "shop").active_products == 3 + 5


def test_after_a_chunk_that_could_not_be_stored_none_is(world: World, writer: ChunkWriter) -> None:
    beyond = 2**70  # no line number of Postgres'
    chunks: list[Chunk] = [[said(beyond if n == 2 else n, f"q{n}", "x")] for n in range(1, 6)]
    with pytest.raises(AdloomError, match="out of range"):
        list(stored(writer, iter(chunks)))
    with world.database.transaction() as tx:
        assert catalog.get_source(tx, world.ws, "shop").active_products == 3 + 1


def test_a_sync_that_another_has_followed_stores_nothing_more(
    world: World, writer: ChunkWriter
) -> None:
    with world.database.transaction() as tx:
        syncs.begin(tx, world.ws, world.source_id)
    with pytest.raises(ConflictError, match="no longer running"):
        list(stored(writer, iter([[said(n, f"q{n}", "x")] for n in range(4)])))
    with world.database.transaction() as tx:
        assert catalog.get_source(tx, world.ws, "shop").active_products == 3
