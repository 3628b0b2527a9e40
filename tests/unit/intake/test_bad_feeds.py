"""Feeds that are wrong: each is refused, or costs the rows that are wrong, with a reason."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adloom.errors import FeedError, InvalidInputError
from adloom.feed_rows import RowReason
from catalog_connectors import open_source
from tests.fuzz_feeds import fuzz
from tests.unit.intake.feeds import (
    ROWS,
    atom,
    delimited,
    json_lines,
    json_list,
    outcomes,
    parquet,
    read,
    rss,
    xlsx,
    zipped,
)

HEAD = "id,title,image_link\n"
OK = "9,Mug,https://h.example/a.jpg\n"
RSS = "<rss><channel>{}</channel></rss>"
BOMB = (
    '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<rss><channel><item><title>&b;</title></item></channel></rss>"
)
OUTSIDE = '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss>&x;</rss>'


def parquet_of(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def clipped(content: bytes, start: int, stop: int) -> bytes:
    return content[:start] + content[stop:]


def bombed(book: bytes) -> bytes:
    """A workbook whose sheet declares entities."""
    parts: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            parts[name] = BOMB.encode() if name.endswith("sheet1.xml") else data
    first = "[Content_Types].xml"
    return zipped(parts.pop(first), first, **parts)


def skipping(book: bytes) -> bytes:
    """A workbook whose second row has a number beyond any sheet's."""
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = next(name for name in parts if name.endswith("sheet1.xml"))
    parts[sheet] = parts[sheet].replace(b'<row r="2"', b'<row r="1000000000000000"')
    first = "[Content_Types].xml"
    return zipped(parts.pop(first), first, **parts)


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "blank lines": (b"\n \n\t\n", "is empty"),
    "comments alone": (b"# one\n# two\n", "is empty"),
    "a mark alone": (b"\xef\xbb\xbf", "is empty"),
    "a web page": (b"<!doctype HTML><html><body>Log in</body></html>", "is a web page"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "Excel file of before 2007"),
    "a document": (b"%PDF-1.7 ...", "is a PDF"),
    "a photo": (b"\xff\xd8\xff\xe0....JFIF", "is a photo"),
    "a program": (b"\x7fELF....", "is a program"),
    "bzip2": (b"BZh91AY&SY", "packed with bzip2"),
    "xz": (b"\xfd7zXZ\x00rest", "packed with xz"),
    "zstd": (b"\x28\xb5\x2f\xfdrest", "packed with zstd"),
    "7z": (b"7z\xbc\xaf\x27\x1crest", "7z archive"),
    "rar": (b"Rar!\x1a\x07rest", "RAR archive"),
    "text without columns": (b"Dear customer,\nhere is the feed.\n", "no column 'id'"),
    "no title": (b"id,image_link\n1,a\n", "no column 'title'"),
    "no photo": (b"id,title\n1,a\n", "no column 'image_link'"),
    "a column twice": (b"id,title,image_link,title\n", "'title' twice"),
    "a line without end": (b"id,title,image_link," + b"x" * 1_100_000, "longer than 1000000"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "gzip cut in its head": (gzip.compress(delimited(ROWS))[:9], "breaks off"),
    "gzip cut": (gzip.compress(delimited(ROWS))[:-20], "breaks off"),
    "gzip with a wrong sum": (gzip.compress(b"id")[:-8] + b"12345678", "CRC"),
    "gzip with a tail": (gzip.compress(delimited(ROWS)) + b"tail", "damaged"),
    "gzip in gzip in gzip": (
        gzip.compress(gzip.compress(gzip.compress(delimited(ROWS)))), "packed more than 2 times"
    ),
    "an empty archive": (b"PK\x05\x06" + bytes(18), "holds 0 files"),
    "an archive of folders": (zipped(b"", "a/"), "holds 0 files"),
    "an archive without directory": (zipped(delimited(ROWS))[:-30], "no readable directory"),
    "an archive cut in its middle": (clipped(zipped(delimited(ROWS)), 60, 120), "cannot be read"),
    "half a workbook": (xlsx(ROWS)[:2000], "no readable directory"),
    "a workbook without sheet": (
        zipped(b"<x/>", "[Content_Types].xml", **{"xl/workbook.xml": b"<x/>"}), "workbook"
    ),
    "a workbook with entities": (bombed(xlsx(ROWS)), "EntitiesForbidden"),
    "a workbook that skips rows": (skipping(xlsx(ROWS)), "a row beyond 1048576"),
    "an empty workbook": (xlsx([{"": ""}]), "is empty"),
    "a workbook of other columns": (xlsx([{"a": 1, "b": 2}]), "no column 'id'"),
    "half a Parquet file": (parquet(ROWS)[:-300], "breaks off before its footer"),
    "a short Parquet file": (b"PAR1PAR1", "breaks off before its footer"),
    "a Parquet file of rubbish": (b"PAR1" + b"x" * 90 + b"PAR1", "cannot be read"),
    "an encrypted Parquet file": (b"PARE" + b"x" * 90 + b"PARE", "encrypted"),
    "Parquet of other columns": (parquet_of(a=[1], b=[2]), "no column 'id'"),
    "XML that never closes": (rss(ROWS)[:-20], "XML breaks off"),
    "XML cut in a tag": (rss(ROWS)[:-4], "XML breaks off"),
    "XML cut in CDATA": (b"<rss><channel><item><title><![CDATA[x", "XML breaks off"),
    "XML with a bare &": (RSS.format("<item><title>a & b</title></item>").encode(), "not well-f"),
    "XML with crossed tags": (b"<rss><a></b></rss>", "mismatched tag"),
    "XML after its end": (rss(ROWS) + b"<rss/>", "junk after document element"),
    "XML in an unknown encoding": (b"<?xml version='1.0' encoding='klingon'?><rss/>", "encoding"),
    "XML that is not UTF-8": (RSS.format("<item>\xe9</item>").encode("latin-1"), "not well-formed"),
    "an unknown entity": (RSS.format("<item>&nope;</item>").encode(), "unknown entity &nope;"),
    "an entity bomb": (BOMB.encode(), "declares a document type"),
    "an outside entity": (OUTSIDE.encode(), "declares a document type"),
    "XML of something else": (b"<urlset><url/></urlset>", "no <item> or <entry>"),
    "an endless tag": (b"<rss x='" + b"y" * (5 << 20), "longer than"),
    "JSON cut in a list": (json_list(ROWS)[:-20], "breaks off after 11 products"),
    "JSON cut before its end": (json_list(ROWS)[:-1], "breaks off"),
    "JSON cut in a line": (json_lines(ROWS)[:-20], "breaks off within its JSON"),
    "JSON without commas": (b'[{"id": 1} {"id": 2}]', "no comma"),
    "a number in JSON": (b"[1, 2", "breaks off"),
    "no JSON": (b"{id: 1}\n", "line 1 is no JSON"),
    "half UTF-16": ((HEAD + OK).encode("utf-16")[:-1], "within a character"),
    "damaged UTF-16": (b"\xff\xfe" + b"\x00\xdc" * 4 + b"i", "within a character"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_feed_is_refused_and_named(tmp_path: Path, name: str) -> None:
    content, said = BAD_FILES[name]
    with pytest.raises(FeedError, match=said) as caught:
        read(tmp_path, content)
    assert str(tmp_path) in str(caught.value)


def item(inner: str) -> bytes:
    return RSS.format(f"<item>{inner}</item>").encode()


LINK = "<image_link>https://h.example/a.jpg</image_link>"
BAD_ROWS: dict[str, tuple[bytes, list[str]]] = {
    "surplus fields": ((HEAD + "1,a,b,c\n" + OK).encode(), [RowReason.TOO_MANY_FIELDS, "9"]),
    "an open quote": ((HEAD + '1,"Mug,b\n' + OK).encode(), [RowReason.UNCLOSED_QUOTE, "9"]),
    "an endless row": (
        (HEAD + "1," + "x" * 130_000 + ",b\n" + OK).encode(), [RowReason.ROW_TOO_LONG, "9"]
    ),
    "a zero byte": ((HEAD + "1,a\0b,c.jpg\n" + OK).encode(), [RowReason.CONTROL_CHARACTERS, "9"]),
    "photos of other schemes": (
        (HEAD + "1,a,ftp://h/a.jpg\n2,b,data:image/png;base64\n3,c,javascript:x\n").encode(),
        [RowReason.BAD_PHOTO_LOCATION, "2", "3"],  # the latter name files that are not there
    ),
    "photos elsewhere": (
        (HEAD + "1,a,/etc/passwd\n2,b,../x.jpg\n3,c,file:///etc/passwd\n").encode(),
        [RowReason.PHOTO_OUTSIDE_FEED] * 3,
    ),
    "markup for a photo": (
        (HEAD + "1,a,<img src=x>\n").encode(), [RowReason.BAD_PHOTO_LOCATION]
    ),
    "a broken list of photos": (
        (b'{"id": 1, "title": "a", "image_link": "[{broken"}\n'),
        [RowReason.BAD_PHOTO_LOCATION],
    ),
    "addresses without host": (
        (HEAD + "1,a,https:///a.jpg\n2,a,http://h:99999/a\n3,a,https://[::1/a\n").encode(),
        [RowReason.BAD_PHOTO_LOCATION] * 3,
    ),
    "an item without id": (item("<title>x</title>" + LINK), [RowReason.MISSING_ID]),
    "an empty item": (item(""), [RowReason.MISSING_ID]),
    "an item without photo": (item("<id>1</id><title>x</title>"), [RowReason.MISSING_IMAGE]),
    "an item too long": (
        item(f"<id>1</id><title>{'x' * 130_000}</title>") , [RowReason.ROW_TOO_LONG]
    ),
    "an item of empty elements": (
        item("<id>1</id>" + "<additional_image_link/>" * 130_000), [RowReason.ROW_TOO_LONG]
    ),
    "an item with a long link": (
        item(f"<id>1</id><link href='https://h.example/{'x' * 130_000}'/>"),
        [RowReason.ROW_TOO_LONG],
    ),
    "a range of prices": (
        item(f"<id>1</id><title>x</title>{LINK}<price>5 - 9 EUR</price>"), [RowReason.BAD_PRICE]
    ),
    "a wrong sale price": (
        item(f"<id>1</id><title>x</title>{LINK}<sale_price>cheap</sale_price>"),
        [RowReason.BAD_PRICE],
    ),
    "an entry without title": (
        atom([{"id": "1", "image_link": "https://h.example/a"}]), [RowReason.MISSING_TITLE]
    ),
    "JSON that is no object": (b'{"id": 1}\n[1]\n"x"\n', ["MISSING_TITLE", "BAD_JSON", "BAD_JSON"]),
    "JSON with NaN": (b'{"a": 1}\n{"id": NaN}\n', ["MISSING_ID", "BAD_JSON"]),
    "JSON of nested lists": (
        b'{"id": [["x"]], "title": {"a": {"b": 1}}, "image_link": []}\n', ["MISSING_ID"]
    ),
    "a JSON line too long": (
        b'{"id": 1}\n{"id": "' + b"x" * 130_000 + b'"}\n', ["MISSING_TITLE", "ROW_TOO_LONG"]
    ),
    "bytes in Parquet": (
        parquet_of(id=["1"], title=[b"\xff\xd8"], image_link=["https://h.example/a"]), ["BAD_VALUE"]
    ),
    "numbers that are none": (
        parquet_of(id=["1"], title=["x"], image_link=["https://h.example/a"], price=[float("nan")]),
        ["BAD_VALUE"],
    ),
    "an error of Excel's": (
        xlsx([{"id": "#N/A", "title": "=1/0", "image_link": "https://h.example/a"}]),
        ["MISSING_TITLE"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_costs_itself_with_its_reason(tmp_path: Path, name: str) -> None:
    content, ends = BAD_ROWS[name]
    assert outcomes(read(tmp_path, content)) == ends


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("", "is empty"),
        ("ftp://h/feed.tsv", "cannot be read from 'ftp://"),
        ("gopher://h/feed", "cannot be read from"),
        ("file://other-host/feed.tsv", "cannot be read from 'file://"),
        ("postgresql://h/shop", "database is --kind sql"),
        ("http://", "not a complete http"),
        ("https:///feed.tsv", "not a complete http"),
        ("http://h:port/feed", "not a complete http"),
        ("http://h/a feed", "not a complete http"),
        ("http://u:secret@h/feed", "holds a password"),
        ("https://h/feed?password=secret", "holds a password"),
        ("http://u:${a-b}@h/feed", "refers to nothing"),
        ("/none/such/feed.tsv", "No such file"),
        ("/dev/null", "is no file"),
        ("/", "is no file"),
        ("a\0b", "null"),
    ],
)
def test_a_location_that_leads_nowhere_says_why(location: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        list(open_source("feed", location).records())


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "feed")
    with pytest.raises(FeedError, match="is no file"):
        list(open_source("feed", str(tmp_path / "feed")).records())


def test_arbitrary_feeds_end_in_rows_reasons_or_errors_of_ours(tmp_path: Path) -> None:
    ends = fuzz(tmp_path, 150)
    assert ends["product"]
    assert ends["FeedTruncatedError"]
