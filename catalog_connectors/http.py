"""HTTP GET as a stream: checked addresses, redirects followed by hand, transient faults retried."""

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import stamina

from adloom.errors import AddressRefusedError
from catalog_connectors.addresses import require_http, shown
from catalog_connectors.connections import open_client

MAX_REDIRECTS = 5
ATTEMPTS = 3
_FIRST_WAIT_S, _LONGEST_WAIT_S, _JITTER_S = 0.2, 2.0, 0.2
MAX_RETRY_AFTER_S = 20.0
CHUNK_BYTES = 1 << 16
_READ_TO_KEEP_BYTES = 1 << 14
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


def retry_after_s(error: Exception, *, now: datetime | None = None) -> float | None:
    """The seconds that a server asks to wait (`Retry-After`, seconds or a date), if it does."""
    if not isinstance(error, httpx.HTTPStatusError):
        return None
    text = error.response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max((date - (now or datetime.now(UTC))).total_seconds(), 0.0)


def retry_wait(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds if the server says so.

    One that asks for more than MAX_RETRY_AFTER_S is not waited for. Those that were told to wait
    together do not come back together: up to a tenth is added.
    """
    if not is_transient(error):
        return False
    asked = retry_after_s(error)
    if asked is None:
        return True
    return asked <= MAX_RETRY_AFTER_S and 0.05 + asked * random.uniform(1.0, 1.1)


def attempts() -> Any:
    """The retry policy of every download: three attempts, 0.2 to 2 seconds apart, or as asked."""
    return stamina.retry_context(
        on=retry_wait, attempts=ATTEMPTS, timeout=None, wait_initial=_FIRST_WAIT_S,
        wait_max=_LONGEST_WAIT_S, wait_jitter=_JITTER_S,
    )  # fmt: skip


def wait_after(error: Exception, attempt: int) -> float | None:
    """The same policy for one who does not wait on the spot: the seconds until the next attempt
    after the `attempt`-th (from 1) failed with `error`; None if it was the last."""
    again = retry_wait(error)
    if again is False or attempt >= ATTEMPTS:
        return None
    if again is True:
        backoff = min(_FIRST_WAIT_S * 2 ** (attempt - 1), _LONGEST_WAIT_S)
        return backoff + random.uniform(0.0, _JITTER_S)
    return again


@contextmanager
def open_once(
    url: str,
    *,
    allow_private: bool,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    client: httpx.Client | None = None,
) -> Iterator[httpx.Response]:
    """The streaming response to a GET: status 2xx, or 304 where `headers` ask for it.

    `timeout_s` bounds connecting and each wait for data. A `client` of `open_client` that is given
    is used, and stays open: its own bounds hold. Raises AddressRefusedError for a private
    address at any hop, httpx.HTTPStatusError for other statuses, httpx.TransportError for faults
    of the network, TooManyRedirectsError.
    """
    target = httpx.URL(url)
    with ExitStack() as stack:
        used = client or stack.enter_context(
            open_client(allow_private=allow_private, timeout_s=timeout_s)
        )
        for _ in range(MAX_REDIRECTS + 1):
            response = _get(used, target, headers or {})
            try:
                if not response.has_redirect_location:
                    if response.status_code != httpx.codes.NOT_MODIFIED:
                        response.raise_for_status()
                    yield response
                    return
                target = _next(target, response.headers["location"])
                _end_short(response)
            finally:
                response.close()
    raise TooManyRedirectsError(f"more than {MAX_REDIRECTS} redirects from {shown(url)}")


def _end_short(response: httpx.Response) -> None:
    """Reads the little that a redirect says: its connection could not be used again otherwise."""
    length = declared_bytes(response)
    if length is not None and length <= _READ_TO_KEEP_BYTES:
        with suppress(httpx.HTTPError):
            response.read()


def _next(url: httpx.URL, location: str) -> httpx.URL:
    target = url.join(location)
    if url.scheme == "https" and target.scheme == "http":
        raise AddressRefusedError(
            f"the redirect to {shown(target)} would leave https", where=shown(url)
        )
    return target


def _get(client: httpx.Client, url: httpx.URL, headers: Mapping[str, str]) -> httpx.Response:
    """One hop; the client's sockets go to checked addresses alone."""
    require_http(url)
    request = client.build_request(
        "GET", url.copy_with(fragment=None), headers={"User-Agent": _USER_AGENT, **headers}
    )
    try:
        return client.send(request, stream=True)
    except AddressRefusedError as error:
        raise AddressRefusedError(error.message, where=shown(url), hint=error.hint) from error


def declared_bytes(response: httpx.Response) -> int | None:
    """The length that the response's head declares, if any."""
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None
