import tracemalloc
from pathlib import Path

import pytest

from adloom.catalog import Delivery, ProductRecord, RejectedRow
from adloom.errors import (
    AddressRefusedError,
    FeedError,
    FeedTruncatedError,
    UnavailableError,
)
from adloom.feed_rows import RowReason
from catalog_connectors import open_source
from catalog_connectors.feed.records import MAX_RECORD_CHARS
from tests.unit.intake.conftest import Page, Site

HEAD = "id\ttitle\timage_link\tdescription\n"
SALEOR = Path(__file__).parents[3].parent / "shared/data/saleor/feed.tsv"


def read(path: Path, **options: object) -> list[ProductRecord | RejectedRow]:
    return list(open_source("feed", str(path), options=options).records())


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "feed.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def outcomes(rows: list[ProductRecord | RejectedRow]) -> list[str]:
    return [r.reason if isinstance(r, RejectedRow) else r.external_id for r in rows]


@pytest.mark.skipif(not SALEOR.is_file(), reason="the test catalogue is not at ../shared/data")
def test_the_real_catalogue_reads_without_a_rejection() -> None:
    rows = read(SALEOR)
    assert len(rows) == 32
    assert not [r for r in rows if isinstance(r, RejectedRow)]
    photos = [p.location for r in rows if isinstance(r, ProductRecord) for p in r.photos]
    assert all(Path(p).is_file() for p in photos)


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
def test_delimiter_bom_and_quoted_line_breaks(tmp_path: Path, delimiter: str) -> None:
    head = delimiter.join(("ID", "title", "Image Link", "description"))
    row = delimiter.join(("1", "Mug", "a.jpg", f'"two\r\nlines{delimiter} ""quoted"""'))
    path = written(tmp_path, "\ufeff" + head + "\r\n" + row + "\r\n" + row.replace("1", "2", 1))
    first, second = read(path)
    assert isinstance(first, ProductRecord)
    assert first.description == f'two lines{delimiter} "quoted"'.replace("\t ", " ")
    assert isinstance(second, ProductRecord)
    assert first.photos[0].location == str(tmp_path / "a.jpg")


def test_a_row_that_fails_costs_no_other(tmp_path: Path) -> None:
    text = HEAD + (
        "1\tMug\ta.jpg\tfine\n"
        "\tMug\ta.jpg\t\n"
        "1\tMug\ta.jpg\tagain\n"
        "\n"
        "3\tMug\ta.jpg\tx\tsurplus\n"
        "4\tMug\t../../etc/passwd\t\n"
        "5\tMug\t/etc/passwd\t\n"
        "6\tMug\tfile:///etc/passwd\t\n"
        "7\tMug\tftp://host/a.jpg\t\n"
        "8\tMug\ta.jpg\tlast\n"
    )
    rows = read(written(tmp_path, text))
    assert outcomes(rows) == [
        "1",
        RowReason.MISSING_ID,
        "1",
        RowReason.TOO_MANY_FIELDS,
        RowReason.PHOTO_OUTSIDE_FEED,
        RowReason.PHOTO_OUTSIDE_FEED,
        RowReason.PHOTO_OUTSIDE_FEED,
        RowReason.BAD_PHOTO_LOCATION,
        "8",
    ]
    assert [r.line for r in rows if isinstance(r, RejectedRow)] == [3, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("closing", ["", '"Fine" thing'])
def test_a_stray_quote_costs_its_own_row_alone(tmp_path: Path, closing: str) -> None:
    rows = "".join(f"{n}\tMug\ta.jpg\tx\n" for n in range(2, 30))
    text = HEAD + f'1\t"Mug\ta.jpg\tx\n{rows}30\t{closing or "Mug"}\ta.jpg\tx\n'
    found = outcomes(read(written(tmp_path, text)))
    assert found == [RowReason.UNCLOSED_QUOTE, *(str(n) for n in range(2, 31))]


def test_an_endless_row_is_rejected(tmp_path: Path) -> None:
    text = HEAD + f"1\tMug\ta.jpg\t{'x' * MAX_RECORD_CHARS}\n2\tMug\ta.jpg\tx\n"
    assert outcomes(read(written(tmp_path, text))) == [RowReason.ROW_TOO_LONG, "2"]


def test_a_symlink_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (folder / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    path = written(folder, HEAD + "1\tMug\ta.jpg\t\n")
    assert outcomes(read(path)) == [RowReason.PHOTO_OUTSIDE_FEED]
    assert outcomes(read(path, allow_outside=True)) == ["1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"id\ttitle\n1\tMug\n", "no column 'image_link'"),
        (b"id\ttitle\timage_link\tTitle\n", "the column 'title' twice"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"x" * 1_200_000, "longer than"),
    ],
)
def test_an_unusable_feed_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(FeedError, match=message) as caught:
        read(written(tmp_path, content))
    assert str(tmp_path) in str(caught.value)


def test_a_feed_over_its_size_limit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "1\tMug\ta.jpg\tx\n" * 100)
    with pytest.raises(FeedError, match="larger than 500 bytes"):
        read(path, max_bytes=500)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="No such file"):
        read(tmp_path / "none.tsv")


def test_a_file_that_breaks_off_is_no_snapshot(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "1\tMug\ta.jpg\tx\n2\tMug\ta.j")
    with pytest.raises(FeedTruncatedError, match="line 3, the last, breaks off"):
        read(path)
    exporter_drops_empty_ends = written(tmp_path, HEAD + "1\tMug\ta.jpg\n2\tMug\ta.jpg")
    assert outcomes(read(exporter_drops_empty_ends)) == ["1", "2"]


@pytest.mark.parametrize(
    "options",
    [
        {"deliver": "delta"},
        {"delivery": "all"},
        {"delimiter": "x"},
        {"max_bytes": 0},
        {"max_bytes": "much"},
        {"allow_outside": "perhaps"},
    ],
)
def test_unknown_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(FeedError, match="option"):
        open_source("feed", "feed.tsv", options=options)


def test_a_refused_option_names_what_there_is() -> None:
    with pytest.raises(FeedError, match=r"'sep'.*delimiter: tab, comma.*max_bytes"):
        open_source("feed", "feed.tsv", options={"sep": "tab"})
    with pytest.raises(FeedError, match=r"'allow_outside' cannot be 'perhaps'.*true or false"):
        open_source("feed", "feed.tsv", options={"allow_outside": "perhaps"})


def test_options_may_be_text_as_a_command_line_has_them(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    feed = written(tmp_path / "shop", HEAD.replace("\t", ";") + "a;Mug;../a.jpg;words\n")
    as_text = {"delimiter": "semicolon", "max_bytes": "100000", "allow_outside": "TRUE"}
    assert outcomes(read(feed, **as_text)) == ["a"]
    assert outcomes(read(feed, **{**as_text, "allow_outside": "false"})) != ["a"]


@pytest.mark.parametrize(
    ("kind", "location"),
    [("magento", "x"), ("feed", "ftp://h/x"), ("feed", "http://"), ("feed", "")],
)
def test_unknown_sources_are_refused(kind: str, location: str) -> None:
    with pytest.raises(FeedError):
        open_source(kind, location)


def test_delivery_is_a_snapshot_unless_said() -> None:
    assert open_source("feed", "f.tsv").delivery is Delivery.SNAPSHOT
    source = open_source("feed", "f.tsv", options={"delivery": "delta"})
    assert source.delivery is Delivery.DELTA


def test_a_large_feed_is_never_in_memory(tmp_path: Path) -> None:
    row = "\tMug\ta.jpg\t" + "words " * 1000 + "\n"
    path = tmp_path / "large.tsv"
    path.write_text(HEAD + "".join(f"{n}{row}" for n in range(400)))
    tracemalloc.start()
    count = sum(1 for _ in open_source("feed", str(path)).records())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 400
    assert peak < path.stat().st_size / 4


BODY = (HEAD + "1\tMug\tphotos/a.jpg\tx\n2\tMug\thttps://cdn.example/b.jpg\tx\n").encode()


def remote(site: Site, path: str) -> list[ProductRecord | RejectedRow]:
    return list(open_source("feed", site.url + path, allow_private=True).records())


def test_a_remote_feed_through_redirects_and_a_passing_fault(site: Site) -> None:
    site.pages["/old"] = Page(status=302, headers={"Location": "/new/feed.tsv"})
    site.pages["/new/feed.tsv"] = Page(BODY, fail_first=1)
    first, second = remote(site, "/old")
    assert isinstance(first, ProductRecord)
    assert isinstance(second, ProductRecord)
    assert first.photos[0].location == f"{site.url}/photos/a.jpg"
    assert second.photos[0].location == "https://cdn.example/b.jpg"
    assert [path for path, _ in site.requests].count("/new/feed.tsv") == 2


def test_a_short_body_is_a_truncated_feed(site: Site) -> None:
    site.pages["/feed"] = Page(BODY, declared=len(BODY) + 50)
    with pytest.raises(FeedTruncatedError) as caught:
        remote(site, "/feed")
    assert caught.value.retryable


def test_a_remote_feed_names_no_local_files(site: Site) -> None:
    site.pages["/feed"] = Page((HEAD + "1\tMug\tfile:///etc/passwd\tx\n").encode())
    assert outcomes(remote(site, "/feed")) == [RowReason.BAD_PHOTO_LOCATION]


def test_remote_feeds_at_private_addresses_are_refused(site: Site) -> None:
    source = open_source("feed", site.url + "/feed")
    with pytest.raises(AddressRefusedError, match=r"private address 127\.0\.0\.1"):
        list(source.records())
    assert site.requests == []


def test_a_server_that_fails_is_told_apart_from_a_wrong_address(site: Site) -> None:
    site.pages["/down"] = Page(status=503)
    with pytest.raises(UnavailableError, match="503"):
        remote(site, "/down")
    with pytest.raises(FeedError, match="404") as caught:
        remote(site, "/none")
    assert not caught.value.retryable
    site.pages["/loop"] = Page(status=301, headers={"Location": "/loop"})
    with pytest.raises(FeedError, match="redirects"):
        remote(site, "/loop")
