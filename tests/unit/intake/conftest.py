"""A real HTTP server on loopback, and pictures to serve."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image


@dataclass
class Page:
    """What the server answers: `declared` overrides Content-Length, `fail_first` sends 503s."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = None
    fail_first: int = 0
    pause_s: float = 0.0


@dataclass
class Site:
    url: str
    pages: dict[str, Page]
    requests: list[tuple[str, dict[str, str]]]


@pytest.fixture
def site() -> Iterator[Site]:
    pages: dict[str, Page] = {}
    requests: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            page = pages.get(self.path, Page(b"no such page", 404))
            if page.fail_first:
                page.fail_first -= 1
                wait = page.headers.get("Retry-After")
                page = Page(b"later", 503, {"Retry-After": wait} if wait else {})
            etag = page.headers.get("ETag")
            if etag and self.headers.get("If-None-Match") == etag:
                page = Page(b"", 304)
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.status != 304:
                length = len(page.body) if page.declared is None else page.declared
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if page.pause_s:
                for start in range(0, len(page.body), 100):
                    self.wfile.write(page.body[start : start + 100])
                    self.wfile.flush()
                    time.sleep(page.pause_s)
            else:
                self.wfile.write(page.body)

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{server.server_port}", pages, requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def talking(say: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says what it likes to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    caller, _ = listening.accept()
                except TimeoutError:
                    continue
                with caller:
                    caller.settimeout(5)
                    with suppress(OSError):
                        say(caller)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.png"
        finally:
            over.set()
            thread.join()


Encode = Callable[..., bytes]


@pytest.fixture
def picture() -> Image.Image:
    """96 x 80 px, left half red, right half blue."""
    array = np.zeros((80, 96, 3), np.uint8)
    array[:, :48], array[:, 48:] = (220, 20, 30), (20, 40, 200)
    return Image.fromarray(array)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
