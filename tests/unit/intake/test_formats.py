"""One catalogue in every format reads as one catalogue, and never as one when it breaks off."""

import codecs
import gzip
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest

from adloom.catalog import Price, ProductRecord
from adloom.errors import FeedError, FeedTruncatedError
from adloom.feed_rows import RowReason
from catalog_connectors import open_source
from catalog_connectors.feed.errors import FeedDamagedError
from tests.unit.intake.feeds import (
    ROWS,
    WRITERS,
    delimited,
    json_lines,
    outcomes,
    read,
    rss,
    xlsx,
    zipped,
)

HEAD = "id\ttitle\timage_link\tdescription\n"
ONE = "1\tMug\thttps://cdn.example/a.jpg\t"


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_products(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, WRITERS[name](ROWS))
    assert outcomes(found) == [row["id"] for row in ROWS]
    first = found[0]
    assert isinstance(first, ProductRecord)
    assert first.title == "Café cup 1 <large> & round"
    assert first.price == Price(Decimal("1.50"), "EUR")
    assert [p.location for p in first.photos] == [
        "https://cdn.example/1.jpg", "https://cdn.example/1-b.jpg", "https://cdn.example/1-c.jpg"
    ]  # fmt: skip
    assert (first.item_group_id, first.attributes) == ("cups", (("size", "M"),))


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_cut_anywhere_is_never_a_complete_snapshot_of_fewer_products(
    tmp_path: Path, name: str
) -> None:
    content = WRITERS[name](ROWS)
    by_lines = name in ("tsv", "csv", "json-lines")
    path = tmp_path / "feed"
    for end in range(1, len(content), max(1, len(content) // 40)):
        if by_lines and content[end - 1] == ord("\n"):
            continue  # such a file is whole: only its length or its products' number could tell
        path.write_bytes(content[:end])
        source = open_source("feed", str(path))
        try:
            found = list(source.records())
        except FeedError:
            continue
        complete = outcomes(found) == [row["id"] for row in ROWS]
        assert complete or not source.ending.certain, f"cut at {end} of {len(content)}"


def test_what_breaks_off_is_said_to_and_may_be_tried_again(tmp_path: Path) -> None:
    for name in ("rss", "atom", "json-list", "json-lines", "parquet", "xlsx", "tsv.gz", "csv.zip"):
        content = WRITERS[name](ROWS)
        with pytest.raises(FeedTruncatedError) as caught:
            read(tmp_path, content[: len(content) * 2 // 3])
        assert caught.value.retryable
        assert "break" in caught.value.message, name


ENCODED = HEAD + "1\tCafé “Élan” – naïve\thttps://cdn.example/a.jpg\tx\n"


@pytest.mark.parametrize(
    "content",
    [
        ENCODED.encode("utf-8"),
        codecs.BOM_UTF8 + ENCODED.encode(),
        ENCODED.encode("cp1252"),
        ENCODED.encode("utf-16"),
        ENCODED.encode("utf-16-le"),
        ENCODED.encode("utf-16-be"),
        ENCODED.encode("utf-32"),
        ENCODED.replace("\n", "\r\n").encode(),
        ENCODED.replace("\n", "\r").encode("cp1252"),
    ],
)
def test_every_encoding_reads_alike(tmp_path: Path, content: bytes) -> None:
    (found,) = read(tmp_path, content)
    assert isinstance(found, ProductRecord)
    assert found.title == "Café “Élan” – naïve"


def test_an_encoding_that_is_said_is_used(tmp_path: Path) -> None:
    (found,) = read(tmp_path, (HEAD + ONE.replace("Mug", "кружка")).encode("cp1251"),
                    encoding="cp1251")  # fmt: skip
    assert isinstance(found, ProductRecord)
    assert found.title == "кружка"


def test_a_damaged_byte_among_utf8_costs_its_row_alone(tmp_path: Path) -> None:
    rows = ["1\tCafé\thttps://h.example/a.jpg\t\n".encode(), b"2\tCaf\xe9\thttps://h.example/a\t\n"]
    rows.append("3\tThé\thttps://h.example/a.jpg\t\n".encode())
    found = read(tmp_path, HEAD.encode() + b"".join(rows))
    assert outcomes(found) == ["1", RowReason.BAD_ENCODING, "3"]


def test_mixed_line_ends_and_quoted_line_breaks(tmp_path: Path) -> None:
    text = (
        HEAD
        + ONE
        + 'x\r\n2\tMug\thttps://h.example/a\t"two\r\nlines"\r3\tMug\thttps://h.example/a\ty\n'
    )
    assert outcomes(read(tmp_path, text.encode())) == ["1", "2", "3"]


def test_comments_and_excels_first_line_are_passed_over(tmp_path: Path) -> None:
    meta = "# ref_application_id 12\n# ref_asset_id 34\n" + HEAD + ONE + "\n"
    assert outcomes(read(tmp_path, meta.encode())) == ["1"]
    excel = "sep=;\r\nid;title;image_link\r\n#7;Mug;https://h.example/a\r\n"
    assert outcomes(read(tmp_path, excel.encode())) == ["#7"]


def test_xml_takes_googles_elements_before_the_feeds_own(tmp_path: Path) -> None:
    item = (
        "<title>Plain</title><g:title>Google&#39;s</g:title><g:id>1</g:id><id>2</id>"
        "<g:image_link>https://h.example/a.jpg</g:image_link><g:price>5 EUR</g:price>"
        "<g:shipping><g:country>DE</g:country><g:price>99 EUR</g:price></g:shipping>"
        "<description><![CDATA[<b>Bold</b> & so on]]></description>"
        "<g:unit_pricing_measure>10 kg</g:unit_pricing_measure>"
        "<additional_image_link>https://h.example/b,c.jpg</additional_image_link>"
    )
    content = rss([]).replace(b"</channel>", f"<item>{item}</item></channel>".encode())
    (found,) = read(tmp_path, content)
    assert isinstance(found, ProductRecord)
    assert (found.external_id, found.title) == ("1", "Google's")
    assert found.price == Price(Decimal(5), "EUR")
    assert found.description == "<b>Bold</b> & so on"
    assert found.photos[1].location == "https://h.example/b,c.jpg"
    assert found.line == 2


def test_xml_reads_htmls_entities_and_other_encodings(tmp_path: Path) -> None:
    item = "<item><id>1</id><title>Th&eacute;&nbsp;vert</title><image>https://h.example/a</image></item>"
    text = f'<?xml version="1.0" encoding="windows-1252"?><rss><channel>{item}é</channel></rss>'
    (found,) = read(tmp_path, text.encode("cp1252"))
    assert isinstance(found, ProductRecord)
    assert found.title == "Thé vert"
    (wide,) = read(tmp_path, text.replace("windows-1252", "utf-16").encode("utf-16"))
    assert isinstance(wide, ProductRecord)


def test_json_keeps_numbers_as_they_are_written(tmp_path: Path) -> None:
    line = (
        '{"id": 12345678901234567890, "title": "Mug", "image_link": {"url": "https://h.example/a"},'
        ' "price": {"amount": 9.90, "currency": "EUR"}, "images": [{"src": "https://h.example/b"}]}'
    )
    mapping = "mapping: own\nbase: google\nfields: {additional_image_link: images}\n"
    (found,) = read(tmp_path, line.encode(), mapping=mapping)
    assert isinstance(found, ProductRecord)
    assert found.external_id == "12345678901234567890"
    assert found.price == Price(Decimal("9.90"), "EUR")
    assert [p.location for p in found.photos] == ["https://h.example/a", "https://h.example/b"]


def test_a_broken_json_line_costs_itself_alone(tmp_path: Path) -> None:
    lines = json_lines(ROWS[:3]).splitlines(keepends=True)
    bad = [b"{broken}\n", b"[1, 2]\n", b'{"id": NaN}\n', b"[" * 100_000 + b"\n"]
    found = outcomes(read(tmp_path, lines[0] + b"".join(bad) + b"\n" + lines[1]))
    assert found == ["sku-1", *[RowReason.BAD_JSON] * 4, "sku-2"]


def test_numbers_of_a_workbook_are_ids(tmp_path: Path) -> None:
    rows = [{"id": 17.0, "title": "Mug", "image_link": "https://h.example/a", "price": "5 EUR"}]
    assert outcomes(read(tmp_path, xlsx(rows))) == ["17"]


def test_a_zip_of_several_files_is_asked_which(tmp_path: Path) -> None:
    content = zipped(delimited(ROWS), "products.tsv", **{"__MACOSX/x": b"", "stock.tsv": b"x"})
    with pytest.raises(FeedError, match=r"2 files: products.tsv.*option member"):
        read(tmp_path, content)
    assert len(read(tmp_path, content, member="products.tsv")) == len(ROWS)
    with pytest.raises(FeedError, match="no file 'other'"):
        read(tmp_path, content, member="other")


def test_a_large_workbook_or_archive_is_refused_by_its_directory(tmp_path: Path) -> None:
    bomb = zipped(b"0" * (80 << 20))
    with pytest.raises(FeedError, match="would unpack to 83886080"):
        read(tmp_path, bomb)
    with pytest.raises(FeedError, match="would unpack to"):
        read(tmp_path, WRITERS["xlsx"](ROWS), max_bytes=1000)


def test_a_gzip_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    lines = HEAD.encode() + (b" " * 100_000 + b"\n") * 800
    with pytest.raises(FeedError, match="over 200-fold"):
        read(tmp_path, gzip.compress(lines))


def test_a_flipped_bit_in_a_packed_feed_is_found(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(delimited(ROWS)))
    content[len(content) // 2] ^= 0x10
    with pytest.raises((FeedDamagedError, FeedTruncatedError)):
        read(tmp_path, bytes(content))
    content = bytearray(gzip.compress(delimited(ROWS)))
    content[-6] ^= 0x10  # the checksum
    with pytest.raises(FeedDamagedError, match="CRC"):
        read(tmp_path, bytes(content))


def peak_of(folder: Path, name: str, count: int) -> int:
    """The most that Python holds while a feed of so many products is read."""
    path = folder / f"{name}-{count}"
    many = [{**ROWS[0], "id": f"n{n}", "description": f"{n} words " * 40} for n in range(count)]
    path.write_bytes(WRITERS[name](many))
    del many
    tracemalloc.start()
    found = sum(isinstance(r, ProductRecord) for r in open_source("feed", str(path)).records())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == count
    return peak


@pytest.mark.parametrize("name", ["rss", "json-lines", "json-list", "parquet", "tsv.gz"])
def test_four_times_the_products_take_no_more_memory(tmp_path: Path, name: str) -> None:
    peak_of(tmp_path, name, 10)  # imports are nobody's product
    assert peak_of(tmp_path, name, 2400) < 1.6 * peak_of(tmp_path, name, 600)
