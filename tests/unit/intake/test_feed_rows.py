from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adloom.catalog import Availability, PhotoRole, Price, ProductRecord, RejectedRow
from adloom.feed_rows import (
    MAX_ID_CHARS,
    MAX_PHOTOS,
    MAX_TEXT_CHARS,
    MAX_TITLE_CHARS,
    FeedRow,
    RowReason,
    column_name,
    parse_price,
    product_record,
)

COLUMNS = (
    "id", "title", "image_link", "additional_image_link", "description", "link", "brand",
    "product_type", "availability", "price", "item_group_id",
)  # fmt: skip
GOOD = {
    "id": "mug-1",
    "title": "Blue  mug",
    "image_link": "a.jpg",
    "description": "Tea &amp;&nbsp;coffee",
    "link": "https://shop.example/mug",
    "product_type": "Kitchen > Mugs",
    "availability": "in stock",
    "price": "10.00 USD",
}


def record(**changed: str) -> ProductRecord | RejectedRow:
    cells = GOOD | changed
    fields = [cells.get(name, "") for name in COLUMNS]
    return product_record(FeedRow(7, fields), COLUMNS, lambda written: f"/feed/{written}")


def test_a_row_becomes_a_record() -> None:
    product = record(additional_image_link="b.jpg, https://cdn.example/c.jpg,a.jpg")
    assert isinstance(product, ProductRecord)
    assert product.title == "Blue mug"
    assert product.description == "Tea & coffee"
    assert product.availability is Availability.IN_STOCK
    assert product.price == Price(Decimal("10.00"), "USD")
    assert [(p.location, p.role, p.position) for p in product.photos] == [
        ("/feed/a.jpg", PhotoRole.MAIN, 0),
        ("/feed/b.jpg", PhotoRole.ADDITIONAL, 1),
        ("https://cdn.example/c.jpg", PhotoRole.ADDITIONAL, 2),
    ]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"id": " "}, RowReason.MISSING_ID),
        ({"id": "x" * (MAX_ID_CHARS + 1)}, RowReason.ID_TOO_LONG),
        ({"id": "a\nb"}, RowReason.BAD_ID),
        ({"id": "a\u200bb"}, RowReason.BAD_ID),
        ({"id": "a\x00b"}, RowReason.CONTROL_CHARACTERS),
        ({"title": ""}, RowReason.MISSING_TITLE),
        ({"title": "&nbsp;"}, RowReason.MISSING_TITLE),
        ({"title": "x" * (MAX_TITLE_CHARS + 1)}, RowReason.TEXT_TOO_LONG),
        ({"title": "bell\x07"}, RowReason.CONTROL_CHARACTERS),
        ({"description": "y" * (MAX_TEXT_CHARS + 1)}, RowReason.TEXT_TOO_LONG),
        ({"image_link": ""}, RowReason.MISSING_IMAGE),
        ({"image_link": "https://"}, RowReason.BAD_PHOTO_LOCATION),
        ({"image_link": "http://host:port/a.jpg"}, RowReason.BAD_PHOTO_LOCATION),
        ({"image_link": "https://h.example/" + "z" * 3000}, RowReason.BAD_PHOTO_LOCATION),
        ({"image_link": "a\x1b.jpg"}, RowReason.CONTROL_CHARACTERS),
        (
            {"additional_image_link": ",".join(f"{n}.jpg" for n in range(MAX_PHOTOS))},
            RowReason.TOO_MANY_PHOTOS,
        ),
        ({"link": "javascript:alert(1)"}, RowReason.BAD_LINK),
        ({"price": "ten USD"}, RowReason.BAD_PRICE),
        ({"price": "10.00"}, RowReason.BAD_PRICE),
        ({"price": "-1.00 USD"}, RowReason.BAD_PRICE),
        ({"price": "1,2,3 USD"}, RowReason.BAD_PRICE),
        ({"price": "99999999999 USD"}, RowReason.BAD_PRICE),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason(changed: dict[str, str], reason: RowReason) -> None:
    rejected = record(**changed)
    assert isinstance(rejected, RejectedRow)
    assert (rejected.line, rejected.reason) == (7, reason)
    assert rejected.detail


def test_fields_beyond_the_columns_are_rejected_and_missing_ones_are_empty() -> None:
    long = product_record(FeedRow(2, ["1", "t", "a.jpg", "surplus"]), COLUMNS[:3], str)
    assert isinstance(long, RejectedRow)
    assert long.reason == RowReason.TOO_MANY_FIELDS
    short = product_record(FeedRow(2, ["1", "t", "a.jpg"]), COLUMNS, str)
    assert isinstance(short, ProductRecord)
    assert short.price is None


def test_a_repeated_photo_column_adds_up() -> None:
    columns = ("id", "title", "image_link", "additional_image_link", "additional_image_link")
    product = product_record(FeedRow(2, ["1", "t", "a", "b", "c"]), columns, str)
    assert isinstance(product, ProductRecord)
    assert [p.location for p in product.photos] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("10.00 USD", "10.00", "USD"),
        ("usd 5", "5", "USD"),
        ("1,234.50 GBP", "1234.50", "GBP"),
        ("1.234,50 EUR", "1234.50", "EUR"),
        ("9,90 EUR", "9.90", "EUR"),
        ("1,000 JPY", "1000", "JPY"),
    ],
)
def test_prices(text: str, amount: str, currency: str) -> None:
    assert parse_price(text) == Price(Decimal(amount), currency)


@pytest.mark.parametrize("written", ["image link", " Image_Link ", "g:image_link", "IMAGE-LINK"])
def test_header_spellings(written: str) -> None:
    assert column_name(written) == "image_link"


@given(st.lists(st.text(), min_size=len(COLUMNS), max_size=len(COLUMNS) + 2))
def test_any_row_is_a_record_or_a_rejection(fields: list[str]) -> None:
    found = product_record(FeedRow(3, fields), COLUMNS, str)
    if isinstance(found, RejectedRow):
        assert found.reason in set(RowReason)
    else:
        assert found.external_id == fields[0].strip()
        assert found.photos[0].role is PhotoRole.MAIN
