"""A catalogue in a real Postgres, synced into adloom's."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from adloom.errors import ShrinkRefusedError
from catalog_connectors import open_source
from db.engine import normalised
from db.queries import catalog
from storage.local import LocalStore
from tasks.catalog import add_source, finish_sync, read_rows
from tasks.environment import Environment, Rendering
from tests.db.world import World


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    rendering = Rendering(weights_root=tmp_path)
    return Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")


@pytest.fixture
def shop(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A shop's own database of 30 products; `${SHOP_URL}` is its address."""
    plain = normalised(empty_postgres_url).set(drivername="postgresql")
    address = plain.render_as_string(hide_password=False)
    monkeypatch.setenv("SHOP_URL", address)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("""
            CREATE SCHEMA shop;
            CREATE TABLE shop.item (sku bigint, name text, photos text[], price numeric(10, 2),
                changed timestamptz NOT NULL DEFAULT now());
            INSERT INTO shop.item SELECT n, 'Item ' || n,
                ARRAY['https://h.example/' || n || '.jpg', 'https://h.example/' || n || '-b.jpg'],
                n + 0.5, timestamptz '2026-11-01' + n * interval '1 hour'
            FROM generate_series(1, 30) n;
        """)
        yield connection


MAPPING = """
mapping: items
fields: {id: sku, title: name, image_link: photos, price: price}
currency: EUR
"""
TABLE = {"table": "shop.item", "mapping": MAPPING}
DELTA = {**TABLE, "watermark": "changed"}


def sync(env: Environment, slug: str, *, allow_shrink: bool = False) -> tuple[int, ...]:
    report = read_rows(env, slug, allow_shrink=allow_shrink)
    finish_sync(env, report.sync_id, report.counts)
    c = report.counts
    return c.rows, c.added, c.changed, c.unchanged, c.deactivated


def test_a_table_is_a_snapshot_with_its_guard(
    env: Environment, shop: psycopg.Connection[tuple[object, ...]]
) -> None:
    add_source(env, "sql", "sql", "${SHOP_URL}", options=TABLE)
    assert sync(env, "sql") == (30, 30, 0, 0, 0)
    shop.execute("DELETE FROM shop.item WHERE sku > 21")
    with pytest.raises(ShrinkRefusedError, match="lacks 9 of 30"):
        sync(env, "sql")
    assert sync(env, "sql", allow_shrink=True) == (21, 0, 0, 21, 9)
    with env.database.transaction() as tx:
        view = catalog.product(tx, env.workspace_id, "1", source="sql")
    assert view.price is not None
    assert (str(view.price.amount), view.price.currency) == ("1.50", "EUR")
    assert [p.location for p in view.photos] == [
        "https://h.example/1.jpg", "https://h.example/1-b.jpg"
    ]  # fmt: skip


def test_a_mark_reads_what_changed_and_makes_nothing_inactive(
    env: Environment, shop: psycopg.Connection[tuple[object, ...]]
) -> None:
    add_source(env, "sql", "sql", "${SHOP_URL}", delta=True, options=DELTA)
    assert sync(env, "sql") == (30, 30, 0, 0, 0)
    assert sync(env, "sql") == (1, 0, 0, 1, 0)  # the mark's own row, again
    shop.execute("UPDATE shop.item SET name = 'New', changed = now() WHERE sku IN (3, 4)")
    shop.execute("DELETE FROM shop.item WHERE sku = 30")
    assert sync(env, "sql") == (2, 0, 2, 0, 0)
    with env.database.transaction() as tx:
        cursor = catalog.get_source(tx, env.workspace_id, "sql").cursor
    assert (cursor["column"], cursor["type"]) == ("changed", "datetime")
    add_source(env, "sql", "sql", "${SHOP_URL}", delta=True)  # read anew, with the options it has
    assert sync(env, "sql") == (29, 0, 0, 29, 0)


def test_the_address_is_stored_as_it_was_written(
    env: Environment, shop: psycopg.Connection[tuple[object, ...]]
) -> None:
    assert not shop.closed
    stored = add_source(env, "sql", "sql", "${SHOP_URL}", options=TABLE)
    assert stored.location == "${SHOP_URL}"


def test_rows_come_by_a_cursor_in_a_transaction_that_only_reads(
    env: Environment, shop: psycopg.Connection[tuple[object, ...]]
) -> None:
    shop.execute("""INSERT INTO shop.item
        SELECT n, 'Item ' || n, ARRAY['https://h.example/a.jpg'], 1 FROM generate_series(31, 5000) n
    """)
    source = open_source("sql", "${SHOP_URL}", options=TABLE)
    records = source.records()
    next(records)
    seen = shop.execute("SELECT name, statement FROM pg_cursors").fetchall()
    assert seen == []  # of this session; the reader's own is looked at below
    activity = shop.execute(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    ).fetchall()
    assert any("FETCH FORWARD" in str(row[0]) for row in activity)
    assert sum(1 for _ in records) == 4999
    writing = {**TABLE, "table": None, "query": "SELECT nextval('shop.s') AS sku, '' AS name, "
               "'' AS photos, 1 AS price"}  # fmt: skip
    shop.execute("CREATE SEQUENCE shop.s")
    from adloom.errors import FeedError

    with pytest.raises(FeedError, match="read-only transaction"):
        list(open_source("sql", "${SHOP_URL}", options=writing).records())
    with env.database.transaction() as tx:
        assert tx.execute(text("SELECT 1")).scalar_one() == 1
