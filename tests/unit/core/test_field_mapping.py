"""Mappings: those that ship, and a user's own with its mistakes named."""

from pathlib import Path

import pytest

from adloom.catalog import Availability, Price, ProductRecord
from adloom.errors import InvalidInputError
from adloom.feed_rows import FeedRow, product_record
from adloom.field_mapping import FIELDS, MappingError, parse_mapping
from catalog_connectors.mappings import find_mapping, shipped
from tasks.source_options import source_options


def mapped(name: str, cells: dict[str, str | list[str]]) -> ProductRecord:
    found = product_record(FeedRow(1, cells), find_mapping(name), str)
    assert isinstance(found, ProductRecord), found
    return found


def test_four_mappings_ship_and_know_every_field() -> None:
    assert set(shipped()) == {"google", "meta", "microsoft", "openai"}
    for mapping in shipped().values():
        assert set(mapping.rules) == set(FIELDS)


def test_metas_feed() -> None:
    product = mapped("meta", {
        "id": "1", "title": "Mug", "availability": "available for order", "price": "9.99 USD",
        "image[0].url": "https://h.example/a.jpg", "image[1].url": "https://h.example/b.jpg",
        "image[2].url": "https://h.example/c.jpg", "fb_product_category": "home goods",
        "item_group_id": "g", "sale_price": "7.99 USD", "size": "L",
    })  # fmt: skip
    assert [p.location[-5:] for p in product.photos] == ["a.jpg", "b.jpg", "c.jpg"]
    assert product.availability is Availability.BACKORDER
    assert (product.category, product.attributes) == ("home goods", (("size", "L"),))


def test_metas_batch_names() -> None:
    product = mapped("meta", {
        "retailer_id": "1", "name": "Mug", "image_url": "https://h.example/a.jpg", "url": "",
        "additional_image_urls": ["https://h.example/b.jpg"],
        "retailer_product_group_id": "g",
    })  # fmt: skip
    assert (product.external_id, product.item_group_id, len(product.photos)) == ("1", "g", 2)


def test_microsofts_feed() -> None:
    product = mapped("microsoft", {
        "mpid": "1", "title": "Mug", "producturl": "https://h.example/p",
        "imageurl": "https://h.example/a.jpg", "product_category": "Kitchen > Mugs",
    })  # fmt: skip
    assert (product.external_id, product.link, product.category) == (
        "1", "https://h.example/p", "Kitchen > Mugs"
    )  # fmt: skip


def test_openais_feed() -> None:
    product = mapped("openai", {
        "item_id": "1", "title": "Mug", "url": "https://h.example/p", "group_id": "g",
        "image_url": "https://h.example/a.jpg", "price": "79.99 USD", "brand": "Acme",
        "additional_image_urls": "https://h.example/b.jpg,https://h.example/c.jpg",
        "availability": "in_stock", "product_category": "Kitchen > Mugs", "color": "red",
    })  # fmt: skip
    assert (product.external_id, product.item_group_id, len(product.photos)) == ("1", "g", 3)
    assert product.availability is Availability.IN_STOCK


OWN = """\
mapping: shop
base: google
currency: EUR
fields:
  id: [artikel_nr, sku]
  title: Bezeichnung
  brand: {value: Acme}
  image_link: {column: bild, prefix: "https://cdn.example/"}
  availability: {column: lager, values: {ja: in_stock, nein: out_of_stock}}
  sale_price: {amount: aktion, minor_units: 2, currency: EUR}
"""


def test_a_mapping_of_ones_own_changes_its_base() -> None:
    product = mapped(OWN, {
        "artikel_nr": "", "sku": "7", "bezeichnung": "Tasse", "bild": "a.jpg", "lager": "NEIN",
        "price": "5,90", "aktion": "490", "colour": "rot",
    })  # fmt: skip
    assert (product.external_id, product.title, product.brand) == ("7", "Tasse", "Acme")
    assert product.photos[0].location == "https://cdn.example/a.jpg"
    assert product.availability is Availability.OUT_OF_STOCK
    assert product.price == Price(product.price.amount, "EUR") if product.price else False
    assert (str(product.sale_price and product.sale_price.amount), product.attributes) == (
        "4.90", (("color", "rot"),)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mapping: x\n", "fields: 'id' is missing"),
        ("mapping: x\nbase: shopify\n", "no mapping 'shopify'; there are: google, meta"),
        ("mapping: X Y\nbase: google\n", "line 1: mapping"),
        (
            "mapping: x\nbase: google\nfields:\n  titel: name\n",
            "'titel' is no field",
        ),
        ("mapping: x\nbase: google\nfields:\n  title: {}\n", "line 4: fields.title"),
        ("mapping: x\nbase: google\nfields:\n  id: {colum: a}\n", "line 4: fields.id.colum"),
        ("mapping: x\nbase: google\nfields:\n  brand: {amount: a}\n", "'brand' has an amount"),
        ("mapping: x\nbase: google\nfields:\n  price: {column: a, amount: b}\n", "either columns"),
        ("mapping: x\nbase: google\nfields:\n  price: {column: a, minor_units: 2}\n", "belong to"),
        ("mapping: x\nbase: google\nfields:\n  price: {amount: a, minor_units: 9}\n", "line 4"),
        ("mapping: x\nbase: google\ncurrency: EURO\n", "currency 'EURO' is no ISO 4217"),
        ("mapping: x\nbase: google\nrows: products\n", "line 3: rows"),
        ("mapping: x\nmapping: y\n", "occurs twice"),
        ("mapping: [x\n", "yaml"),
        ("- id\n- title\n", "must hold a mapping"),
    ],
)
def test_a_mistake_is_named_by_line_and_field(text: str, said: str) -> None:
    with pytest.raises(MappingError, match=said.replace("[", r"\[")) as caught:
        parse_mapping(text, where="shop.yaml", shipped=shipped())
    assert caught.value.where == "shop.yaml"


def test_a_file_of_ones_own_is_read_when_the_source_is_added(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(OWN, encoding="utf-8")
    query = tmp_path / "rows.sql"
    query.write_text("SELECT 1", encoding="utf-8")
    given = source_options(["overlap=5"], mapping=str(file), query=f"@{query}", watermark="at")
    assert given == {
        "overlap": "5",
        "mapping": OWN + "\n",
        "query": "SELECT 1",
        "watermark": "at",
    }
    assert source_options([], mapping="meta") == {"mapping": "meta"}
    assert source_options([]) is None
    file.write_text(OWN.replace("title:", "titel:"), encoding="utf-8")
    with pytest.raises(MappingError, match="'titel' is no field") as caught:
        source_options([], mapping=str(file))
    assert caught.value.where == str(file)
    for wrong in ({"mapping": "shopify"}, {"mapping": "none.yaml"}, {"query": "@none.sql"}):
        with pytest.raises(InvalidInputError):
            source_options([], **wrong)
    with pytest.raises(InvalidInputError, match="'table' is given twice"):
        source_options(["table=a"], table="b")
