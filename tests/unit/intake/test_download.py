"""Feeds over HTTP: whole or not at all, and not at all if they have not changed."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stamina

from adloom.catalog import CatalogSource, ProductRecord
from adloom.errors import (
    ConfigurationError,
    FeedError,
    FeedTruncatedError,
    InvalidInputError,
    UnavailableError,
)
from catalog_connectors import open_source
from catalog_connectors.feed.errors import FeedTooLargeError, FeedUnavailableError
from tests.unit.intake.conftest import talking
from tests.unit.intake.feeds import ROWS, delimited, json_lines, outcomes, rss

BODY = rss(ROWS * 20)


@dataclass
class Feed:
    """What the server has, and how it fails: `cuts` are bytes after which it breaks off, in turn;
    `ranges` is whether it knows them; `length` whether it says how much there is."""

    body: bytes = BODY
    etag: str | None = '"v1"'
    modified: str | None = None
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    forgets: bool = False
    length: bool = True
    coding: str | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def feed() -> Iterator[Feed]:
    feed = Feed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {k.lower(): v for k, v in self.headers.items()}
            feed.requests.append(asked)
            if feed.etag and asked.get("if-none-match") == feed.etag:
                self.send_response(304)
                self.end_headers()
                return
            start, status = 0, 200
            fresh = asked.get("if-range") in (feed.etag, feed.modified)
            if feed.forgets and "range" in asked:
                self.send_response(416)
                self.end_headers()
                return
            if feed.ranges and "range" in asked and fresh:
                start, status = int(asked["range"].removeprefix("bytes=").rstrip("-")), 206
            body = feed.body[start:]
            self.send_response(status)
            if status == 206:
                end = len(feed.body) - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(feed.body)}")
            for name, value in (
                ("ETag", feed.etag), ("Last-Modified", feed.modified),
                ("Content-Encoding", feed.coding),
                ("Content-Length", str(len(body)) if feed.length else None),
            ):  # fmt: skip
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: feed.cuts.pop(0)] if feed.cuts else body)

        def log_message(self, format: str, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    feed.url = f"http://127.0.0.1:{server.server_port}/feed"
    try:
        yield feed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=5)
    yield
    stamina.set_testing(False)


def opened(feed: Feed, cursor: Any = None, **options: object) -> CatalogSource:
    return open_source("feed", feed.url, allow_private=True, options=options, cursor=cursor)


def test_a_feed_that_has_not_changed_is_not_read(feed: Feed) -> None:
    first = opened(feed)
    assert len(list(first.records())) == len(ROWS) * 20
    again = opened(feed, first.ending.cursor)
    assert list(again.records()) == []
    assert again.ending.unchanged
    assert again.ending.cursor == first.ending.cursor
    assert feed.requests[1]["if-none-match"] == '"v1"'
    feed.etag = '"v2"'
    changed = opened(feed, first.ending.cursor)
    assert list(changed.records())
    assert not changed.ending.unchanged
    assert changed.ending.cursor != first.ending.cursor


def test_a_cursor_of_another_reader_asks_for_the_whole_feed(feed: Feed) -> None:
    for cursor in ({"etag": '"v1"', "reader": 0}, {"etag": '"v1"'}, {"etag": 7, "reader": 1}):
        assert list(opened(feed, cursor).records())


def test_a_download_that_breaks_off_goes_on_where_it_was(feed: Feed) -> None:
    feed.cuts = [1000, 2000, 3000]
    source = opened(feed)
    assert outcomes(list(source.records()))[:2] == ["sku-1", "sku-2"]
    assert source.ending.certain
    ranges = [r.get("range") for r in feed.requests]
    assert ranges == [None, "bytes=1000-", "bytes=3000-", "bytes=6000-"]
    assert feed.requests[1]["if-range"] == '"v1"'


def test_a_download_goes_on_for_as_long_as_it_gets_further(feed: Feed) -> None:
    feed.cuts = [2000] * 20
    assert len(list(opened(feed).records())) == len(ROWS) * 20
    assert len(feed.requests) == 21


@pytest.mark.parametrize("ranges", [False, True])
def test_two_versions_of_a_feed_are_never_joined(feed: Feed, ranges: bool) -> None:
    feed.cuts, feed.ranges = [5000], ranges
    feed.etag = 'W/"weak"'
    assert len(list(opened(feed).records())) == len(ROWS) * 20
    assert "range" not in feed.requests[1]
    feed.cuts, feed.etag, feed.modified = [5000], None, "Mon, 02 Nov 2026 10:00:00 GMT"
    assert len(list(opened(feed).records())) == len(ROWS) * 20
    assert feed.requests[3]["if-range"] == feed.modified


def test_a_feed_that_never_comes_whole_is_truncated_and_gives_no_product(feed: Feed) -> None:
    feed.cuts = [4000] + [0] * 20
    taken: list[object] = []
    with pytest.raises(FeedTruncatedError, match="broke off after 4000 bytes") as caught:
        taken.extend(opened(feed).records())
    assert caught.value.retryable
    assert taken == []


def test_without_a_length_the_format_must_prove_the_end(feed: Feed) -> None:
    feed.length = False
    assert len(list(opened(feed).records())) == len(ROWS) * 20
    feed.cuts = [len(BODY) // 2]
    with pytest.raises(FeedTruncatedError, match="XML breaks off"):
        list(opened(feed).records())
    feed.body = delimited(ROWS)
    feed.cuts = [len(feed.body) - 1]
    source = opened(feed)
    assert len(list(source.records())) == len(ROWS)
    assert not source.ending.certain
    for content in (delimited(ROWS), json_lines(ROWS)):
        feed.body = content
        feed.cuts = [content.index(b"\n", len(content) // 2) + 1]  # between two lines
        source = opened(feed)
        assert len(list(source.records())) < len(ROWS)
        assert not source.ending.certain
        assert source.ending.cursor == {}  # so that the rest is not taken for known
    feed.cuts, feed.body = [], gzip.compress(delimited(ROWS))
    source = opened(feed)
    assert len(list(source.records())) == len(ROWS)
    assert source.ending.certain  # by its checksum
    feed.length = True
    feed.body = delimited(ROWS).rstrip()
    source = opened(feed)
    assert len(list(source.records())) == len(ROWS)
    assert source.ending.certain  # its length was as declared


def test_gzip_of_the_connection_is_taken_off_like_that_of_a_file(feed: Feed) -> None:
    feed.body, feed.coding = gzip.compress(BODY), "gzip"
    feed.cuts = [500]
    assert len(list(opened(feed).records())) == len(ROWS) * 20
    feed.coding = "br"
    with pytest.raises(FeedError, match="coding 'br'"):
        list(opened(feed).records())


def test_limits_of_size_and_time(feed: Feed) -> None:
    with pytest.raises(FeedTooLargeError, match="larger than 1000 bytes"):
        list(opened(feed, max_bytes=1000).records())
    feed.length = False
    with pytest.raises(FeedTooLargeError):
        list(opened(feed, max_bytes=1000).records())
    assert FeedUnavailableError.retryable


def test_a_server_that_has_not_the_range_any_more_is_asked_for_the_whole(feed: Feed) -> None:
    feed.cuts, feed.forgets = [4000], True
    assert len(list(opened(feed).records())) == len(ROWS) * 20
    assert ["range" in asked for asked in feed.requests] == [False, True, False]


@pytest.mark.parametrize(
    ("begin", "drop"),
    [(b"", b"X: y\r\n"), (b"Transfer-Encoding: chunked\r\n\r\n", b"0")],
    ids=["head", "frames"],
)
def test_a_server_that_drips_its_head_or_frames_is_given_up(begin: bytes, drop: bytes) -> None:
    finished: list[bool] = []

    def drip(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\n" + begin)
        for _ in range(80):
            time.sleep(0.05)
            caller.sendall(drop)
        finished.append(True)

    with talking(drip) as url:
        source = open_source("feed", url, allow_private=True, options={"max_seconds": 1})
        with pytest.raises(FeedUnavailableError, match="not there after 1 s"):
            list(source.records())
    assert not finished  # it was left in the middle of it


def test_a_password_is_referred_to_and_never_written(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = feed.url.replace("http://", "http://shop:${FEED_PASSWORD}@")
    source = open_source("feed", address, allow_private=True)
    with pytest.raises(ConfigurationError, match="FEED_PASSWORD is not set"):
        list(source.records())
    monkeypatch.setenv("FEED_PASSWORD", "pässword/1")
    (first, *_) = source.records()
    assert isinstance(first, ProductRecord)
    assert feed.requests[-1]["authorization"].startswith("Basic ")
    with pytest.raises(InvalidInputError, match="holds a password"):
        open_source("feed", feed.url.replace("http://", "http://shop:secret@"))
    monkeypatch.setenv("WHOLE_FEED", feed.url)
    assert list(open_source("feed", "${WHOLE_FEED}", allow_private=True).records())


def test_an_error_shows_neither_password_nor_query(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEED_TOKEN", "s3cr3t")
    address = f"{feed.url.replace('http://', 'http://u:${FEED_TOKEN}@')}?token=${{FEED_TOKEN}}"
    feed.body = b"no feed at all"
    with pytest.raises(FeedError) as caught:
        list(open_source("feed", address, allow_private=True).records())
    assert "s3cr3t" not in str(caught.value)
    monkeypatch.setenv("FEED_TOKEN", "x")
    feed.cuts = [0] * 10
    with pytest.raises(UnavailableError):
        list(open_source("feed", address, allow_private=True).records())
