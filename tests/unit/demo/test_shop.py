"""The shop that the demo ships: a feed that reads, pictures that are packshots, a campaign."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adloom.campaign_document import parse_campaign
from adloom.catalog import Delivery, PhotoRole, ProductRecord, RejectedRow
from adloom.prompts import category_word
from catalog_connectors.feed import FeedOptions, FeedSource

DEMO = Path(__file__).parents[3] / "demo"
FEED = DEMO / "products" / "feed.tsv"
PICTURES = sorted((DEMO / "products" / "images").glob("*.jpg"))


def records() -> list[ProductRecord | RejectedRow]:
    source = FeedSource(str(FEED), allow_private=False, options=FeedOptions(Delivery.SNAPSHOT))
    return list(source.records())


def products() -> list[ProductRecord]:
    return [r for r in records() if isinstance(r, ProductRecord)]


def test_no_row_of_the_feed_is_rejected() -> None:
    assert [r for r in records() if isinstance(r, RejectedRow)] == []
    assert len(products()) >= 14


def test_the_feed_names_every_picture_and_no_other() -> None:
    named = {Path(photo.location) for product in products() for photo in product.photos}
    assert named == set(PICTURES)


def test_one_product_has_a_second_photo() -> None:
    second = [p for r in products() for p in r.photos if p.role is PhotoRole.ADDITIONAL]
    assert len(second) == 1


def test_every_category_ends_in_one_plain_word() -> None:
    words = [category_word(p.category) for p in products()]
    assert [w for w in words if not w.isalpha() or w == "product"] == []


def test_every_product_has_a_price_and_a_brand() -> None:
    assert [p.external_id for p in products() if p.price is None or not p.brand] == []


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.stem)
def test_a_picture_is_a_packshot_on_pure_white(path: Path) -> None:
    assert path.stat().st_size < 150_000
    with Image.open(path) as image:
        assert image.size == (900, 900)
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels[0] == 255).all(), "the upper edge is pure white"
    assert pixels[:, [0, -1]].min() >= 225, "at the sides there is no more than faint shadow"
    ink = (pixels.max(axis=2) - pixels.min(axis=2) > 24) | (pixels.max(axis=2) < 150)
    assert 0.04 < ink.mean() < 0.7, "the product takes a fair share of the picture"


def test_the_campaign_takes_six_scenes_or_more_of_the_core_pack() -> None:
    text = (DEMO / "campaign.yaml").read_text()
    spec = parse_campaign(text, where="demo/campaign.yaml")
    pack = (DEMO.parent / "scenes" / "core.yaml").read_text()
    assert len(spec.scenes) >= 6
    assert [s for s in spec.scenes if f"slug: {s}\n" not in pack] == []
    assert (spec.formats, spec.model) == (("4:5",), "mini-256")
