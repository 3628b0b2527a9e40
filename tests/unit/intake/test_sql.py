"""Catalogues in a database, here of SQLite: rows, marks, secrets, refusals."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adloom.catalog import CatalogSource, Price, ProductRecord
from adloom.errors import AdloomError, ConfigurationError, FeedError, InvalidInputError
from adloom.feed_rows import RowReason
from catalog_connectors import open_source
from catalog_connectors.watermarks import Watermark
from tests.unit.intake.feeds import outcomes

MAPPING = """
mapping: warehouse
fields:
  id: sku
  title: [name, working_name]
  image_link: {column: photo, prefix: 'https://cdn.example/'}
  brand: {value: Acme}
  availability: {column: stock, values: {1: in stock, 0: out of stock}}
  price: {amount: cents, currency: currency, minor_units: 2}
"""
SELECT = "SELECT id, title, image_link, changed FROM product"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript("""
        CREATE TABLE product (id, title, image_link, changed INTEGER);
        INSERT INTO product VALUES
            ('a', 'Mug', 'https://h.example/a.jpg', 1), ('b', 'Cup', 'https://h.example/b.jpg', 2),
            (3, 'Jug', 'https://h.example/c.jpg', 2);
        CREATE TABLE "stock item" (sku, name, working_name, photo, stock, cents, currency);
        INSERT INTO "stock item" VALUES
            ('x', NULL, 'Vase', 'x.jpg', 1, 1234, 'EUR'), ('y', 'Pot', 'p', 'y.jpg', 0, NULL, NULL),
            ('z', 'Pan', '', 'z.jpg', 7, 'free', 'EUR');
    """)
    connection.commit()
    yield connection
    connection.close()


def opened(folder: Path, cursor: Any = None, **options: object) -> CatalogSource:
    return open_source("sql", f"sqlite:///{folder}/shop.db", options=options, cursor=cursor)


@pytest.mark.usefixtures("shop")
def test_a_table_and_a_query_are_read(tmp_path: Path) -> None:
    source = opened(tmp_path, table="product")
    assert outcomes(list(source.records())) == ["a", "b", "3"]
    assert source.ending.certain
    found = list(opened(tmp_path, query=f"{SELECT} WHERE id = 'b' ;").records())
    assert outcomes(found) == ["b"]
    colons = "SELECT ':x' AS id, 'a::b' AS title, 'https://h.example/a:b%2C.jpg' AS image_link"
    (found_one,) = opened(tmp_path, query=colons).records()
    assert isinstance(found_one, ProductRecord)
    assert (found_one.external_id, found_one.title) == (":x", "a::b")
    assert found_one.photos[0].location == "https://h.example/a:b%2C.jpg"


@pytest.mark.usefixtures("shop")
def test_columns_are_mapped(tmp_path: Path) -> None:
    vase, pot, pan = opened(tmp_path, table="stock item", mapping=MAPPING).records()
    assert isinstance(vase, ProductRecord)
    assert isinstance(pot, ProductRecord)
    assert (vase.title, vase.brand, vase.availability) == ("Vase", "Acme", "in_stock")
    assert vase.price == Price(Decimal("12.34"), "EUR")
    assert vase.photos[0].location == "https://cdn.example/x.jpg"
    assert (pot.title, pot.availability, pot.price) == ("Pot", "out_of_stock", None)
    assert outcomes([pan]) == [RowReason.BAD_PRICE]


@pytest.mark.parametrize("kind", ["table", "query"])
def test_a_mark_reads_what_changed_and_ties_again(
    tmp_path: Path, shop: sqlite3.Connection, kind: str
) -> None:
    what: dict[str, object] = {"table": "product"} if kind == "table" else {"query": SELECT}
    delta = {**what, "watermark": "changed", "delivery": "delta"}
    first = opened(tmp_path, **delta)
    assert len(list(first.records())) == 3
    shop.execute("INSERT INTO product VALUES ('d', 'Late', 'https://h.example/d.jpg', 2)")
    shop.execute("INSERT INTO product VALUES ('n', 'Unmarked', 'https://h.example/n.jpg', NULL)")
    shop.commit()
    second = opened(tmp_path, first.ending.cursor, **delta)
    assert outcomes(list(second.records())) == ["b", "3", "d", "n"]
    shop.execute("UPDATE product SET changed = 9 WHERE id = 'a'")
    shop.commit()
    third = opened(tmp_path, second.ending.cursor, **delta)
    assert outcomes(list(third.records())) == ["a", "b", "3", "d", "n"]
    fourth = opened(tmp_path, third.ending.cursor, **delta)
    assert outcomes(list(fourth.records())) == ["a", "n"]
    wider = opened(tmp_path, third.ending.cursor, overlap="7", **delta)
    assert outcomes(list(wider.records())) == ["a", "b", "3", "d", "n"]


def test_a_reading_without_new_rows_keeps_its_mark(
    tmp_path: Path, shop: sqlite3.Connection
) -> None:
    delta = {"table": "product", "watermark": "changed", "delivery": "delta"}
    first = opened(tmp_path, **delta)
    list(first.records())
    shop.execute("DELETE FROM product")
    shop.commit()
    second = opened(tmp_path, first.ending.cursor, **delta)
    assert list(second.records()) == []
    assert second.ending.cursor == first.ending.cursor == {
        "column": "changed", "type": "number", "watermark": "2"
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 11, 2, 10, 30, 0, 5, tzinfo=UTC), date(2026, 11, 2), Decimal("12.5"), "v0007"],
)
def test_marks_are_kept_as_they_are(value: Any) -> None:
    mark = Watermark(value)
    assert Watermark.from_cursor(mark.cursor("c"), "c") == mark
    assert Watermark.from_cursor(mark.cursor("c"), "other") is None
    assert mark.less(0) == value


def test_a_mark_in_the_future_does_not_stop_the_reading_of_what_changes() -> None:
    absurd = datetime(9999, 1, 1, tzinfo=UTC)
    mark = Watermark.later(None, absurd, "here")
    assert mark is not None
    assert mark.value < datetime.now(UTC) + timedelta(days=2)  # pyright: ignore[reportOperatorIssue]


def test_a_damaged_text_or_a_picture_costs_its_row(
    tmp_path: Path, shop: sqlite3.Connection
) -> None:
    shop.execute("INSERT INTO product VALUES ('p', x'ffd8', 'https://h.example/p.jpg', 1)")
    shop.execute(
        "INSERT INTO product VALUES ('q', CAST(x'4361e9' AS TEXT), 'https://h.example/q.jpg', 1)"
    )
    shop.commit()
    found = outcomes(list(opened(tmp_path, table="product").records()))
    assert found == ["a", "b", "3", RowReason.BAD_VALUE, RowReason.BAD_ENCODING]


def test_the_database_is_only_read(tmp_path: Path, shop: sqlite3.Connection) -> None:
    sneaky = "WITH x AS (SELECT 1) DELETE FROM product RETURNING id, title, image_link"
    with pytest.raises(FeedError, match="readonly"):
        list(opened(tmp_path, query=sneaky).records())
    assert shop.execute("SELECT count(*) FROM product").fetchone() == (3,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either a table or a query"),
        ({"table": "t", "query": "SELECT 1"}, "either a table or a query"),
        ({"query": "DROP TABLE product"}, "is no query"),
        ({"query": "SELECT 1; DROP TABLE product"}, "rows cannot be read"),
        ({"table": "none"}, "no such table: none"),
        ({"query": "SELECT nope FROM product"}, "no such column"),
        ({"query": "SELECT id FROM product"}, "no column 'title'"),
        ({"query": "SELECT 1 AS id, 2 AS id, 3 AS title, 4 AS image_link"}, "'id' twice"),
        ({"table": "product", "watermark": "changed"}, "no snapshot"),
        ({"table": "product", "watermark": "nope", "delivery": "delta"}, "no watermark column"),
        ({"table": "product", "overlap": "5"}, "belongs to a watermark"),
        ({"table": "product", "overlap": "-5"}, "'overlap' cannot be"),
        ({"table": "product", "delivery": "all"}, "snapshot or delta"),
        ({"table": "product", "delimiter": "tab"}, "unknown sql option 'delimiter'"),
        ({"table": "product", "mapping": "shopify"}, "no mapping 'shopify'"),
        ({"table": "product", "watermark": "title", "overlap": "5", "delivery": "delta"}, "text"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_what_cannot_be_read_says_why(tmp_path: Path, options: Any, said: str) -> None:
    cursor = {"column": "title", "type": "text", "watermark": "A"}
    with pytest.raises(InvalidInputError, match=said):
        list(opened(tmp_path, cursor, **options).records())


@pytest.mark.parametrize(
    ("location", "error", "said"),
    [
        ("postgresql://u:secret@h/d", InvalidInputError, "holds a password"),
        ("postgresql://h/d?password=secret", InvalidInputError, "holds a password"),
        ("mysql+pymysql://u:x${A}@h/d", InvalidInputError, "holds a password"),
        ("postgresql://u:${}@h/d", InvalidInputError, "refers to nothing"),
        ("postgresql://u:${a b}@h/d", InvalidInputError, "refers to nothing"),
        ("postgresql://u:${NOT_SET}@h/d", ConfigurationError, "NOT_SET is not set"),
        ("postgresql://u:${file:/none/such}@h/d", ConfigurationError, "/none/such cannot be read"),
        ("${NOT_SET}", ConfigurationError, "NOT_SET is not set"),
        ("nonsense", FeedError, "address cannot be read"),
        ("oracle+none://h/d", ConfigurationError, "no driver for 'oracle.none'"),
        ("sqlite:///", FeedError, "no such SQLite file"),
        ("sqlite:////none/such.db", FeedError, "no such SQLite file"),
        ("sqlite:///relative.db", FeedError, "no such SQLite file"),
        ("postgresql://u@127.0.0.1:9/d", AdloomError, "refused|failed"),
    ],
)
def test_addresses_that_cannot_be_used_say_why(
    location: str, error: type[AdloomError], said: str
) -> None:
    with pytest.raises(error, match=said):
        list(open_source("sql", location, options={"table": "t"}).records())


def test_no_error_tells_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2hunter2\n")
    location = f"postgresql://u:${{file:{secret}}}@127.0.0.1:9/d"
    monkeypatch.setenv("SHOP_DB", "postgresql://u:hunter2hunter2@127.0.0.1:9/d")
    for written in (location, "${SHOP_DB}"):
        with pytest.raises(AdloomError) as caught:
            list(open_source("sql", written, options={"table": "t"}).records())
        assert "hunter2" not in str(caught.value)
        assert caught.value.retryable
        assert caught.value.__cause__ is None


@pytest.mark.usefixtures("shop")
def test_a_query_that_ends_in_a_comment_is_read_from_its_mark_on(tmp_path: Path) -> None:
    options = {"query": f"{SELECT} -- all", "watermark": "changed", "delivery": "delta"}
    first = opened(tmp_path, **options)
    assert outcomes(list(first.records())) == ["a", "b", "3"]
    again = opened(tmp_path, first.ending.cursor, **options)
    assert outcomes(list(again.records())) == ["b", "3"]
