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
    product_record,
)
from adloom.field_mapping import column_name
from catalog_connectors.mappings import shipped

GOOGLE = shipped()["google"]
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
    return product_record(FeedRow(7, cells), GOOGLE, lambda written: f"/feed/{written}")


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


def test_repeated_photos_add_up_and_those_that_are_apart_may_hold_commas() -> None:
    apart = ["b.jpg", "https://cdn.example/c,d.jpg", ""]
    product = product_record(FeedRow(2, {**GOOD, "additional_image_link": apart}), GOOGLE, str)
    assert isinstance(product, ProductRecord)
    assert [p.location for p in product.photos] == ["a.jpg", "b.jpg", "https://cdn.example/c,d.jpg"]


def test_metas_list_of_photos_in_json_is_read() -> None:
    written = '[{"url": "a.jpg", "tag": ["x"]}, {"url": "b.jpg"}, "c.jpg", {"other": 1}]'
    product = record(image_link=written)
    assert isinstance(product, ProductRecord)
    assert [p.location for p in product.photos] == ["/feed/a.jpg", "/feed/b.jpg", "/feed/c.jpg"]


def test_what_variants_differ_by_is_kept_and_moves_the_content_hash() -> None:
    small, large = record(size=" S ", colour="red"), record(size="L", colour="red")
    plain = record()
    assert isinstance(small, ProductRecord)
    assert isinstance(large, ProductRecord)
    assert isinstance(plain, ProductRecord)
    assert small.attributes == (("color", "red"), ("size", "S"))
    assert len({small.content_hash, large.content_hash, plain.content_hash}) == 3
    assert plain.attributes == ()


def test_a_sale_price_is_read_and_a_bad_one_names_its_field() -> None:
    good, bad = record(sale_price="8.00 USD"), record(sale_price="8.00")
    assert isinstance(good, ProductRecord)
    assert good.sale_price == Price(Decimal("8.00"), "USD")
    assert isinstance(bad, RejectedRow)
    assert bad.detail.startswith("sale_price '8.00' has no currency")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("In Stock", Availability.IN_STOCK),
        ("available for order", Availability.BACKORDER),
        ("https://schema.org/OutOfStock", Availability.OUT_OF_STOCK),
        ("preorder", Availability.PREORDER),
        ("perhaps", Availability.UNKNOWN),
    ],
)
def test_availability_in_the_words_of_several_feeds(written: str, meant: Availability) -> None:
    product = record(availability=written)
    assert isinstance(product, ProductRecord)
    assert product.availability is meant


@pytest.mark.parametrize("written", ["image link", " Image_Link ", "g:image_link", "IMAGE-LINK"])
def test_header_spellings(written: str) -> None:
    assert column_name(written) == "image_link"


@given(st.dictionaries(st.sampled_from(sorted(GOOGLE.columns)), st.text() | st.lists(st.text())))
def test_any_row_is_a_record_or_a_rejection(cells: dict[str, str | list[str]]) -> None:
    found = product_record(FeedRow(3, cells), GOOGLE, str)
    if isinstance(found, RejectedRow):
        assert found.reason in set(RowReason)
    else:
        assert found.external_id
        assert found.photos[0].role is PhotoRole.MAIN
