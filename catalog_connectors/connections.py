"""Connections that only ever reach a checked address, and requests that end by a deadline.

The check stands where the socket is opened, so that nothing above it (a redirect, a kept-alive
connection, a name that resolves differently a moment later) can go round it: the name is resolved
once, and the connection goes to an address of that answer. TLS and the Host header name the host.
"""

import functools
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from catalog_connectors.addresses import checked_host

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bounds the whole of this thread's requests: each read ends by then, however it drips."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def open_client(*, allow_private: bool, timeout_s: float, connections: int = 1) -> httpx.Client:
    """A client without cookies, proxies or redirects of its own; close it.

    `timeout_s` bounds connecting (10 s at most) and each wait for data; up to `connections` are
    open at once, and kept alive. Any thread may use it. A request to a private address raises
    AddressRefusedError unless `allow_private`.
    """
    return httpx.Client(
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0), pool=None),
        transport=_CheckedTransport(allow_private, connections),
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"Accept-Encoding": "identity"},
    )


class Clients:
    """Clients for threads, each used by one thread at a time; up to `keep` of them are kept.

    One pool for all threads looks at each of its connections for every request, under a lock that
    all threads then wait for: half of 48 threads did. Nobody waits for the lock of a client that is
    used by one thread, and the one that a host's last photo came by has a connection to it.
    """

    def __init__(self, make: Callable[[], httpx.Client], *, keep: int) -> None:
        self._make = make
        self._keep = keep
        self._lock = threading.Lock()
        self._free: list[tuple[str, httpx.Client]] = []  # with the host it served, the latest last

    @contextmanager
    def one(self, host: str) -> Iterator[httpx.Client]:
        """A client for this thread: the one last used for `host` if it is free."""
        client = self._taken(host)
        try:
            yield client
        finally:
            self._give(host, client)

    def close(self) -> None:
        """Closes those that are free; one that is still used is closed when it is given back."""
        with self._lock:
            free, self._free, self._keep = self._free, [], 0
        for _, client in free:
            client.close()

    def _taken(self, host: str) -> httpx.Client:
        with self._lock:
            for n in reversed(range(len(self._free))):
                if self._free[n][0] == host:
                    return self._free.pop(n)[1]
        return self._make()

    def _give(self, host: str, client: httpx.Client) -> None:
        with self._lock:
            self._free.append((host, client))
            oldest = self._free.pop(0)[1] if len(self._free) > self._keep else None
        if oldest is not None:
            oldest.close()


class _CheckedTransport(httpx.HTTPTransport):
    """httpx's transport over a pool of httpcore's that opens its sockets by `CheckedBackend`."""

    def __init__(self, allow_private: bool, connections: int) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        # httpx has no argument for httpcore's network backend.
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=CheckedBackend(allow_private=allow_private),
        )


class CheckedBackend(httpcore.NetworkBackend):
    """Opens sockets to checked addresses alone: AddressRefusedError for all others."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        fault: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in checked_host(host, port, allow_private=self._allow_private):
            try:
                return _TimedStream(
                    self._sockets.connect_tcp(
                        address,
                        port,
                        _left(timeout, httpcore.ConnectTimeout),
                        local_address,
                        socket_options,
                    )
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                fault = error
        raise fault or httpcore.ConnectError(f"'{host}' has no address")

    def sleep(self, seconds: float) -> None:
        self._sockets.sleep(seconds)


class _TimedStream(httpcore.NetworkStream):
    """A socket whose every wait ends by the thread's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the time for the whole request is over")
    return left if timeout is None else min(left, timeout)


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
