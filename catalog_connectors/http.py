"""HTTP GET as a stream: checked addresses, redirects followed by hand, transient faults retried."""

import functools
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import stamina

from adloom.errors import AddressRefusedError
from catalog_connectors.addresses import checked_addresses, shown

MAX_REDIRECTS = 5
ATTEMPTS = 3
CHUNK_BYTES = 1 << 16
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_USER_AGENT = "adloom/0.1"


class TooManyRedirectsError(httpx.HTTPError):
    """The address redirects in circles."""


def is_transient(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _TRANSIENT_STATUS
    return isinstance(error, httpx.TransportError) and not isinstance(
        error, httpx.UnsupportedProtocol
    )


def attempts() -> Any:
    """The retry policy of every download: three attempts, half a second to two seconds apart."""
    return stamina.retry_context(
        on=is_transient, attempts=ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=2.0,
        wait_jitter=0.2,
    )  # fmt: skip


@contextmanager
def open_with_retries(
    url: str, *, allow_private: bool, timeout_s: float, headers: Mapping[str, str] | None = None
) -> Iterator[httpx.Response]:
    """`open_once`, tried again after transient faults until the response's head has arrived."""
    response: httpx.Response | None = None
    with ExitStack() as stack:
        for attempt in attempts():
            with attempt:
                response = stack.enter_context(
                    open_once(
                        url, allow_private=allow_private, timeout_s=timeout_s, headers=headers
                    )
                )
        assert response is not None  # the last attempt raises
        yield response


@contextmanager
def open_once(
    url: str, *, allow_private: bool, timeout_s: float, headers: Mapping[str, str] | None = None
) -> Iterator[httpx.Response]:
    """The streaming response to a GET: status 2xx, or 304 where `headers` ask for it.

    `timeout_s` bounds connecting and each wait for data. Raises AddressRefusedError for a private
    address at any hop, httpx.HTTPStatusError for other statuses, httpx.TransportError for faults
    of the network, TooManyRedirectsError.
    """
    target = httpx.URL(url)
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
    with httpx.Client(timeout=timeout, verify=_tls(), trust_env=False) as client:
        for _ in range(MAX_REDIRECTS + 1):
            response = _get(client, target, allow_private, headers or {})
            try:
                if not response.has_redirect_location:
                    if response.status_code != httpx.codes.NOT_MODIFIED:
                        response.raise_for_status()
                    yield response
                    return
                target = _next(target, response.headers["location"])
            finally:
                response.close()
    raise TooManyRedirectsError(f"more than {MAX_REDIRECTS} redirects from {shown(url)}")


def _next(url: httpx.URL, location: str) -> httpx.URL:
    target = url.join(location)
    if url.scheme == "https" and target.scheme == "http":
        raise AddressRefusedError(
            f"the redirect to {shown(target)} would leave https", where=shown(url)
        )
    return target


def _get(
    client: httpx.Client, url: httpx.URL, allow_private: bool, headers: Mapping[str, str]
) -> httpx.Response:
    """One hop, connected to an address that was checked: TLS still names the host."""
    fault: httpx.TransportError | None = None
    for address in checked_addresses(url, allow_private=allow_private):
        request = client.build_request(
            "GET",
            url.copy_with(host=address, fragment=None),
            headers={
                "Host": url.netloc.decode("ascii"),
                "User-Agent": _USER_AGENT,
                "Accept-Encoding": "identity",
                **headers,
            },
            extensions={"sni_hostname": url.host},
        )
        try:
            return client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            fault = error
    raise fault or httpx.ConnectError(f"'{url.host}' has no address")


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def declared_bytes(response: httpx.Response) -> int | None:
    """The length that the response's head declares, if any."""
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None
