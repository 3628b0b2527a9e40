"""A whole sync from a file: what a snapshot lacks goes only if the snapshot is whole and sane."""

from pathlib import Path

import pytest
from sqlalchemy import TextClause, text

from adloom.catalog import Delivery
from adloom.errors import FeedTruncatedError, ShrinkRefusedError
from db.engine import Transaction, joined_whole
from db.queries import catalog, syncs
from storage.local import LocalStore
from tasks import catalog as tasks
from tasks.environment import Environment, Rendering
from tests.db.world import World, record

HEAD = "id\ttitle\timage_link\tdescription\n"


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    """A source of ten products that were synced once, in chunks of three rows."""
    env = Environment(
        world.database, LocalStore(tmp_path), "w", world.ws, Rendering(tmp_path), "me"
    )
    feed(tmp_path, range(10))
    tasks.add_source(env, "file", "feed", str(tmp_path / "feed.tsv"))
    sync(env)
    return env


def row(n: int) -> str:
    return f"sku-{n}\tMug {n}\thttps://cdn.example/{n}.jpg\tfine\n"


def feed(folder: Path, products: range, *, end: str = "") -> None:
    (folder / "feed.tsv").write_text(HEAD + "".join(map(row, products)) + end)


def sync(env: Environment, *, allow_shrink: bool = False) -> tasks.RowsReport:
    report = tasks.read_rows(env, "file", allow_shrink=allow_shrink)
    tasks.finish_sync(env, report.sync_id, report.counts)
    return report


def active(env: Environment) -> int:
    with env.database.transaction() as tx:
        return catalog.get_source(tx, env.workspace_id, "file").active_products


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CHUNK", 3)


def test_a_snapshot_that_lacks_thirty_percent_is_refused_unless_it_may_shrink(
    env: Environment, tmp_path: Path
) -> None:
    feed(tmp_path, range(7))
    with pytest.raises(ShrinkRefusedError, match=r"3 of 10 .*more than 20%"):
        sync(env)
    assert active(env) == 10
    assert sync(env, allow_shrink=True).counts.deactivated == 3
    assert active(env) == 7


def test_a_feed_that_breaks_off_counts_as_no_snapshot(env: Environment, tmp_path: Path) -> None:
    feed(tmp_path, range(9), end="sku-9\tMug")
    with pytest.raises(FeedTruncatedError):
        sync(env, allow_shrink=True)
    assert active(env) == 10
    with env.database.transaction() as tx:
        source = catalog.get_source(tx, env.workspace_id, "file")
        last = syncs.latest(tx, env.workspace_id, source.id)
    assert last is not None
    assert (last.error_class, last.counts.unchanged) == ("FeedTruncatedError", 9)


def test_counts_over_chunks_add_up_and_name_repeated_rows(env: Environment, tmp_path: Path) -> None:
    feed(tmp_path, range(10), end=row(0) + "\tno id\thttps://cdn.example/x.jpg\t\n" + row(10))
    report = sync(env)
    c = report.counts
    assert (c.rows, c.unchanged, c.added, c.changed, c.rejected) == (13, 10, 1, 0, 2)
    assert [(p.where, p.reason) for p in report.problems] == [
        ("line 12", "DUPLICATE_ID"),
        ("line 13", "MISSING_ID"),
    ]


def test_products_that_came_since_the_last_analysis_are_not_looped_over(world: World) -> None:
    world.sync([record(f"old{n}") for n in range(50)])
    with world.database.transaction() as tx:
        tx.execute(text("ANALYZE product, sync_mention, catalog_sync"))
        source = catalog.add_source(
            tx, world.ws, slug="new", kind="feed", location="/f", delivery=Delivery.SNAPSHOT
        )
        sync_id = syncs.begin(tx, world.ws, source.id)
        syncs.upsert_products(tx, sync_id, [record(f"new{n}") for n in range(3000)])
        ids = {"source": source.id, "ws": world.ws, "sync": sync_id}
        for statement in (syncs.DEACTIVATE, syncs.SHRINK):
            with joined_whole(tx):
                assert tx.execute(text("SHOW enable_nestloop")).scalar_one() == "off"
                assert "Nested Loop" not in plan(tx, statement, ids)
            assert tx.execute(text("SHOW enable_nestloop")).scalar_one() == "on"


def plan(tx: Transaction, statement: TextClause, values: dict[str, int]) -> str:
    return "\n".join(tx.execute(text(f"EXPLAIN {statement}"), values).scalars())
