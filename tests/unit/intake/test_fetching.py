"""Many photos at once: whom the fetcher connects to, how long it waits, what it asks of a host."""

import gzip
import socket
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import httpcore
import httpx
import pytest
from PIL import Image

from adloom.errors import AddressRefusedError
from catalog_connectors.addresses import checked_host
from catalog_connectors.connections import CheckedBackend, Clients
from catalog_connectors.fanning import Fan, Hosts, Later, Leave, fan_out
from catalog_connectors.http import ATTEMPTS, MAX_RETRY_AFTER_S, retry_after_s, retry_wait
from catalog_connectors.photos import (
    PhotoFetcher,
    PhotoLater,
    PhotoLimits,
    PhotoReason,
    PhotoRefusedError,
    PhotoUnavailableError,
    fetch_photo,
    host_of,
)
from tests.unit.intake.conftest import Page, Site, encoded, talking

LIMITS = PhotoLimits(max_bytes=1 << 20, timeout_s=30)


def refused(url: str, limits: PhotoLimits = LIMITS) -> PhotoRefusedError:
    with pytest.raises(PhotoRefusedError) as caught:
        fetch_photo(url, limits=limits, allow_private=True)
    return caught.value


def test_a_name_that_resolves_differently_a_moment_later_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, site: Site, picture: Image.Image
) -> None:
    site.pages["/a.png"] = Page(encoded(picture, "PNG"))
    port = httpx.URL(site.url).port
    answers = iter(["127.0.0.1", "10.0.0.1"])
    asked: list[object] = []

    resolve = socket.getaddrinfo

    def rebinding(host: str, *args: object, **more: object) -> object:
        if host != "shop.example":
            return resolve(host, *args, **more)  # type: ignore[arg-type]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr("catalog_connectors.addresses.socket.getaddrinfo", rebinding)
    monkeypatch.setattr("catalog_connectors.addresses.is_public", lambda a: a == "127.0.0.1")
    connected: list[tuple[str, int]] = []
    original = socket.create_connection

    def recording(address: tuple[str, int], *args: object, **more: object) -> socket.socket:
        connected.append(address)
        return original(address, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", recording)
    url = f"http://shop.example:{port}/a.png"
    with PhotoFetcher(LIMITS, allow_private=False) as fetcher:
        assert fetcher.fetch(url) is not None
        assert connected == [("127.0.0.1", port)]
        assert asked == ["shop.example"]
        assert site.requests[0][1]["host"] == f"shop.example:{port}"
    with pytest.raises(PhotoRefusedError) as caught:
        fetch_photo(url, limits=LIMITS, allow_private=False)
    assert caught.value.reason is PhotoReason.ADDRESS_REFUSED
    assert len(connected) == 1


@pytest.mark.parametrize("host", ["169.254.169.254", "::ffff:10.0.0.1", "localhost", "0.0.0.0"])
def test_the_socket_itself_refuses_private_addresses(host: str) -> None:
    with pytest.raises(AddressRefusedError):
        CheckedBackend(allow_private=False).connect_tcp(host, 80)


def test_a_name_without_an_address_is_no_address_refused() -> None:
    with pytest.raises(httpcore.ConnectError, match="does not resolve"):
        checked_host("no-such-name.invalid", 80, allow_private=False)


def test_connections_are_kept_and_cookies_are_not(site: Site, picture: Image.Image) -> None:
    site.pages["/a.png"] = Page(encoded(picture, "PNG"), headers={"Set-Cookie": "id=7; Path=/"})
    with PhotoFetcher(LIMITS, allow_private=True) as fetcher:
        for _ in range(3):
            fetcher.fetch(site.url + "/a.png")
    assert len(site.requests) == 3
    assert not any("cookie" in headers for _, headers in site.requests)


def test_a_host_that_redirects_its_photos_keeps_both_connections(picture: Image.Image) -> None:
    opened: Counter[str] = Counter()
    body = encoded(picture, "PNG")

    def answering(name: str, answer: Callable[[], bytes]) -> Callable[[socket.socket], None]:
        def talk(caller: socket.socket) -> None:
            opened[name] += 1
            while caller.recv(65536):
                caller.sendall(answer())

        return talk

    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with talking(answering("cdn", lambda: head + body)) as cdn:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {cdn}\r\nContent-Length: 0\r\n\r\n".encode()
        with (
            talking(answering("shop", lambda: moved)) as shop,
            PhotoFetcher(LIMITS, allow_private=True) as fetcher,
        ):
            for _ in range(5):
                assert fetcher.fetch(shop) is not None
    assert opened == {"shop": 1, "cdn": 1}


def test_a_head_that_drips_is_given_up() -> None:
    def drip(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\n")
        for n in range(60):
            caller.sendall(f"X-{n}: y\r\n".encode())
            time.sleep(0.05)

    begun = time.monotonic()
    with talking(drip) as url:
        error = refused(url, replace(LIMITS, timeout_s=0.4))
    assert (error.reason, error.retryable) == (PhotoReason.TOO_SLOW, True)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", PhotoReason.UNREACHABLE),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", PhotoReason.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort", PhotoReason.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab", PhotoReason.TRUNCATED),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://x/y\r\n\r\n", PhotoReason.BAD_ADDRESS),
        (b"HTTP/1.1 302 Found\r\nLocation: /a.png\r\n\r\n", PhotoReason.BAD_ADDRESS),
        (b"HTTP/1.1 204 No Content\r\n\r\n", PhotoReason.EMPTY),
    ],
)
def test_servers_that_speak_oddly_are_told_apart(said: bytes, reason: PhotoReason) -> None:
    def answer(caller: socket.socket) -> None:
        caller.recv(1 << 16)
        caller.sendall(said)

    with talking(answer) as url:
        assert refused(url).reason is reason


def status(code: int, retry_after: str | None) -> httpx.HTTPStatusError:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    request = httpx.Request("GET", "https://shop.example/a.png")
    return httpx.HTTPStatusError(
        "no", request=request, response=httpx.Response(code, headers=headers, request=request)
    )


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    cases = {
        "7": 7.0,
        "0": 0.0,
        "Thu, 01 Jan 2026 00:00:09 GMT": 9.0,
        "Wed, 31 Dec 2025 00:00:00 GMT": 0.0,
        "soon": None,
        "": None,
        "-3": None,
    }
    assert {t: retry_after_s(status(429, t), now=now) for t in cases} == cases
    assert retry_after_s(status(429, None)) is None


def test_a_wait_is_as_long_as_asked_and_not_absurd() -> None:
    wait = retry_wait(status(503, "3"))
    assert 3.0 <= wait <= 3.4
    assert retry_wait(status(429, str(MAX_RETRY_AFTER_S * 2).split(".")[0])) is False
    assert retry_wait(status(503, None)) is True
    assert retry_wait(status(404, "3")) is False


def test_a_host_that_asks_to_wait_is_left_alone_and_then_served(
    site: Site, picture: Image.Image
) -> None:
    site.pages["/a.png"] = Page(encoded(picture, "PNG"), headers={"Retry-After": "1"}, fail_first=1)
    hosts = Hosts()
    with PhotoFetcher(LIMITS, allow_private=True, hosts=hosts) as fetcher:
        begun = time.monotonic()
        assert fetcher.fetch(site.url + "/a.png") is not None
    assert time.monotonic() - begun >= 1.0
    assert len(site.requests) == 2


def test_a_throttled_photo_says_so(site: Site) -> None:
    site.pages["/a.png"] = Page(status=429, headers={"Retry-After": "3600"})
    error = refused(site.url + "/a.png")
    assert (error.reason, error.retryable) == (PhotoReason.THROTTLED, True)
    assert "3600 s" in str(error)
    assert len(site.requests) == 1


def test_work_is_bounded_in_all_and_at_each_host_and_none_is_lost() -> None:
    lock, running, most = threading.Lock(), Counter[str](), Counter[str]()

    def work(item: tuple[str, int], _: Leave) -> tuple[str, int]:
        host = item[0]
        with lock:
            running[host] += 1
            running["all"] += 1
            for name in (host, "all"):
                most[name] = max(most[name], running[name])
        time.sleep(0.003)
        with lock:
            running[host] -= 1
            running["all"] -= 1
        return item

    items = [(host, n) for n in range(40) for host in ("a", "b", "")]
    fan = Fan(overall=6, per_host=2, lookahead=20)
    done = list(fan_out(items, work, lambda item: item[0], fan, Hosts()))
    assert sorted(done) == sorted(items)
    assert (most["a"], most["b"]) == (2, 2)
    assert most["all"] <= 6


def test_a_paused_host_keeps_none_of_the_others_waiting() -> None:
    hosts = Hosts()
    hosts.pause("slow", 0.3)
    items = [("slow", n) for n in range(5)] + [("quick", n) for n in range(5)]
    done = list(fan_out(items, lambda i, _: i, lambda i: i[0], Fan(4, 2, 100), hosts))
    assert [host for host, _ in done] == ["quick"] * 5 + ["slow"] * 5


def test_a_pause_is_never_longer_than_the_longest() -> None:
    hosts = Hosts(longest_pause_s=2.0)
    hosts.pause("a", 1e9)
    assert hosts.left_s("a") <= 0
    hosts.pause("a", 1.5)
    hosts.pause("a", 0.5)
    assert 1.0 < hosts.left_s("a") <= 1.5
    assert hosts.left_s("b") <= 0


def test_a_host_of_which_all_fails_is_given_up_and_one_answer_is_enough(site: Site) -> None:
    site.pages["/down"] = Page(status=503, headers={"Retry-After": "3600"})
    with PhotoFetcher(LIMITS, allow_private=True, hosts=Hosts(give_up_after=3)) as fetcher:

        def reason(path: str) -> PhotoReason:
            with pytest.raises(PhotoRefusedError) as caught:
                fetcher.fetch(site.url + path)
            return caught.value.reason

        for path in ("/down", "/down", "/gone", "/down", "/down", "/down"):
            reason(path)
        assert len(site.requests) == 6
        assert reason("/down") is PhotoReason.UNREACHABLE
        assert reason("/gone") is PhotoReason.UNREACHABLE
        assert len(site.requests) == 6


def test_what_is_put_off_takes_no_place_and_comes_again() -> None:
    tried: Counter[int] = Counter()

    def work(n: int, _: Leave) -> int | Later[int]:
        tried[n] += 1
        return Later(n, 0.2) if n < 4 and tried[n] < 3 else n

    begun = time.monotonic()
    done = list(fan_out(range(20), work, lambda _: "a", Fan(2, 2, 10), Hosts()))
    assert time.monotonic() - begun >= 0.4
    assert sorted(done) == list(range(20))
    assert sorted(done[-4:]) == [0, 1, 2, 3]
    assert [tried[n] for n in range(6)] == [3, 3, 3, 3, 1, 1]


def test_work_that_has_left_its_host_makes_room_there_while_it_goes_on() -> None:
    both = threading.Barrier(2, timeout=10)

    def work(n: int, leave: Leave) -> int:
        leave()
        leave()  # once is enough
        both.wait()  # breaks unless two run at once at a host that takes one
        return n

    assert sorted(fan_out(range(4), work, lambda _: "a", Fan(2, 1, 10), Hosts())) == [0, 1, 2, 3]


def test_one_attempt_alone_says_when_the_next_is_due(site: Site, picture: Image.Image) -> None:
    site.pages["/a.png"] = Page(encoded(picture, "PNG"), fail_first=2)
    site.pages["/wait"] = Page(status=429, headers={"Retry-After": "3"})
    site.pages["/down"] = Page(status=503)
    with PhotoFetcher(LIMITS, allow_private=True) as fetcher:
        for attempt, longest in ((1, 0.4), (2, 0.6)):
            with pytest.raises(PhotoLater) as later:
                fetcher.fetch(site.url + "/a.png", attempt=attempt)
            assert longest - 0.2 <= later.value.after_s <= longest
        assert fetcher.fetch(site.url + "/a.png", attempt=3) is not None
        with pytest.raises(PhotoLater) as later:
            fetcher.fetch(site.url + "/wait", attempt=1)
        assert 3.0 <= later.value.after_s <= 3.4
        with pytest.raises(PhotoUnavailableError):
            fetcher.fetch(site.url + "/down", attempt=ATTEMPTS)


def test_items_are_read_as_there_is_room() -> None:
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for n in range(1000):
            read += 1
            yield n

    results = fan_out(items(), lambda n, _: n, lambda _: "", Fan(2, 2, 10), Hosts())
    next(results)
    assert read <= 12
    results.close()


def test_what_work_raises_ends_it_all() -> None:
    def work(n: int, _: Leave) -> int:
        if n == 3:
            raise ConnectionError("the store is gone")
        return n

    with pytest.raises(ConnectionError, match="store"):
        list(fan_out(range(100), work, lambda _: "", Fan(2, 2, 10), Hosts()))


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://Shop.example/a.png", "shop.example"),
        ("http://shop.example:81/a", "shop.example:81"),
        ("/photos/a.png", ""),
        ("http://[::1", ""),
    ],
)
def test_hosts_are_told_apart_by_name_and_port(location: str, host: str) -> None:
    assert host_of(location) == host


@pytest.mark.parametrize(
    ("coding", "reason"),
    [("gzip", PhotoReason.TOO_LARGE), ("br", PhotoReason.WRONG_TYPE), ("gzip, gzip", None)],
)
def test_a_coding_never_unpacks_beyond_the_limit(
    site: Site, coding: str, reason: PhotoReason | None
) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    site.pages["/bomb"] = Page(bomb, headers={"Content-Encoding": coding})
    limits = replace(LIMITS, max_bytes=1 << 20)
    tracemalloc.start()
    try:
        error = refused(site.url + "/bomb", limits)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert error.reason is (reason or PhotoReason.WRONG_TYPE)


def test_a_photo_that_comes_packed_is_unpacked_whole(site: Site, picture: Image.Image) -> None:
    data = encoded(picture, "PNG")
    site.pages["/p"] = Page(gzip.compress(data), headers={"Content-Encoding": "gzip"})
    found = fetch_photo(site.url + "/p", limits=LIMITS, allow_private=True)
    assert found is not None
    assert found.content == data
    site.pages["/cut"] = Page(gzip.compress(data)[:-9], headers={"Content-Encoding": "gzip"})
    assert refused(site.url + "/cut").reason is PhotoReason.TRUNCATED


def test_a_client_serves_one_thread_at_a_time_and_its_host_again() -> None:
    made: list[httpx.Client] = []

    def make() -> httpx.Client:
        made.append(httpx.Client())
        return made[-1]

    clients = Clients(make, keep=2)
    with clients.one("a") as first, clients.one("a") as second, clients.one("b") as third:
        assert len({first, second, third}) == 3
    assert [c.is_closed for c in made].count(True) == 1  # two are kept
    with clients.one("a") as again:
        assert again is first  # the last one that served this host
        assert len(made) == 3
    with clients.one("c") as held:
        clients.close()
        assert not held.is_closed
    assert all(c.is_closed for c in made)
