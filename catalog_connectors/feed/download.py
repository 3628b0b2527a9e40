"""A remote feed -> a file on disk, whole or not at all.

Only what has arrived whole is read: a server that breaks off costs time and nothing else. What has
come stays, and the rest is asked for (`Range`, with `If-Range` so that nobody joins two versions).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import httpx
import stamina

from adloom.catalog import Blob, BlobVersion
from adloom.errors import AdloomError, FeedError, FeedTruncatedError
from catalog_connectors.connections import within
from catalog_connectors.feed.errors import FeedUnavailableError, too_large, truncated
from catalog_connectors.http import declared_bytes, is_transient, open_once

ATTEMPTS = 5
READ_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Downloaded:
    """`unchanged`: the server says so, and nothing came. `proven`: its length is vouched for."""

    unchanged: bool
    proven: bool
    validators: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    max_bytes: int
    max_seconds: float


class HttpDownload:
    """One download into `file`; `known` are the validators of the copy that was read before."""

    def __init__(
        self,
        url: str,
        file: BinaryIO,
        *,
        where: str,
        allow_private: bool,
        limits: DownloadLimits,
        known: Mapping[str, str],
    ) -> None:
        self._url = url
        self._file = file
        self._where = where
        self._allow_private = allow_private
        self._limits = limits
        self._known = known
        self._have = 0
        self._validators: dict[str, str] = {}
        self._until = time.monotonic() + limits.max_seconds

    def run(self) -> Downloaded:
        """Raises FeedUnavailableError, FeedTruncatedError (both retryable), AddressRefusedError,
        FeedTooLargeError, FeedError."""
        most = 0
        try:
            while True:
                try:
                    return self._attempts()
                except (httpx.TransportError, FeedTruncatedError):
                    self._check_time()
                    if self._have <= most or _strong(self._validators) is None:
                        raise
                    most = self._have  # these attempts got further, so the next ones may
        except httpx.HTTPError as error:
            raise _translated(error, self._where, self._have) from error
        except httpx.InvalidURL as error:
            raise FeedError(f"the address cannot be read: {error}", where=self._where) from error

    def _attempts(self) -> Downloaded:
        for attempt in stamina.retry_context(
            on=self._may_go_on, attempts=ATTEMPTS, timeout=self._limits.max_seconds,
            wait_initial=0.2, wait_max=5.0, wait_jitter=0.2,
        ):  # fmt: skip
            with attempt, within(max(self._until - time.monotonic(), 0.0)):
                return self._attempt()
        raise AssertionError("the last attempt returns or raises")

    def _may_go_on(self, error: Exception) -> bool:
        """Whether to try again. A server that has not the range any more is asked for the whole."""
        if time.monotonic() >= self._until:
            return False
        if (
            self._have
            and isinstance(error, httpx.HTTPStatusError)
            and (error.response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE)
        ):
            self._validators, self._have = {}, 0
            return True
        return isinstance(error, FeedTruncatedError) or is_transient(error)

    def _attempt(self) -> Downloaded:
        with open_once(
            self._url,
            allow_private=self._allow_private,
            timeout_s=READ_TIMEOUT_S,
            headers={"Accept-Encoding": "identity", **self._headers()},
        ) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return Downloaded(True, True, self._known)
            self._check_encoding(response)
            self._begin(response)
            self._check_size(self._have + (declared_bytes(response) or 0))
            start = self._have
            for chunk in response.iter_raw():
                self._file.write(chunk)
                self._have += len(chunk)
                self._check_size(self._have)
                self._check_time()
            declared = declared_bytes(response)
            if declared is not None and self._have - start < declared:
                raise truncated(self._where, f"{self._have - start} bytes came of {declared}")
            chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
            return Downloaded(False, declared is not None or chunked, self._validators)

    def _headers(self) -> dict[str, str]:
        if self._have and (validator := _strong(self._validators)):
            return {"Range": f"bytes={self._have}-", "If-Range": validator}
        headers: dict[str, str] = {}
        if "etag" in self._known:
            headers["If-None-Match"] = self._known["etag"]
        if "last_modified" in self._known:
            headers["If-Modified-Since"] = self._known["last_modified"]
        return headers

    def _begin(self, response: httpx.Response) -> None:
        """Goes on behind what is there if the server does so, else from the start."""
        goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT and response.headers.get(
            "content-range", ""
        ).startswith(f"bytes {self._have}-")
        if goes_on:
            return
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            self._validators, self._have = {}, 0  # asked again without a range
            raise httpx.RemoteProtocolError("another range was sent than was asked for")
        self._file.seek(0)
        self._file.truncate()
        self._have = 0
        names = {"etag": "etag", "last_modified": "last-modified"}
        self._validators = {
            k: response.headers[h][:500] for k, h in names.items() if h in response.headers
        }

    def _check_encoding(self, response: httpx.Response) -> None:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):  # gzip is unpacked like a file of it
            raise FeedError(
                f"the server sent the feed in the coding '{coding[:40]}', unasked",
                where=self._where,
                hint="let it send the file as it is, or packed with gzip",
            )

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise too_large(self._where, self._limits.max_bytes)

    def _check_time(self) -> None:
        if time.monotonic() >= self._until:
            raise FeedUnavailableError(
                f"the feed was not there after {self._limits.max_seconds:.0f} s "
                f"({self._have} bytes)",
                where=self._where,
                hint="raise the source's option max_seconds",
            )


def blob_download(
    blob: Blob, file: BinaryIO, *, limits: DownloadLimits, known: Mapping[str, str]
) -> Downloaded:
    """The same from an object store. Raises the store's errors, FeedTruncatedError and
    FeedTooLargeError."""
    version = blob.version()
    if known.get("etag") == version.tag:
        return Downloaded(True, True, known)
    if version.bytes > limits.max_bytes:
        raise too_large(blob.location, limits.max_bytes)
    for attempt in stamina.retry_context(
        on=lambda e: isinstance(e, AdloomError) and e.retryable, attempts=ATTEMPTS,
        timeout=limits.max_seconds, wait_initial=0.2, wait_max=5.0, wait_jitter=0.2,
    ):  # fmt: skip
        with attempt:
            _rest_of(blob, version, file)
    return Downloaded(False, True, {"etag": version.tag})


def _rest_of(blob: Blob, version: BlobVersion, file: BinaryIO) -> None:
    for chunk in blob.chunks(version, file.tell()):
        file.write(chunk)
    if file.tell() != version.bytes:
        raise truncated(blob.location, f"{file.tell()} bytes came of {version.bytes}")


def _strong(validators: Mapping[str, str]) -> str | None:
    """The validator that may join two parts: a weak tag may not (RFC 9110, 13.1.5)."""
    etag = validators.get("etag")
    if etag is not None and not etag.startswith("W/"):
        return etag
    return validators.get("last_modified") if etag is None else None


def _translated(error: httpx.HTTPError, where: str, have: int) -> AdloomError:
    if have and isinstance(error, httpx.TransportError):
        return truncated(where, f"the download broke off after {have} bytes: {error}")
    if isinstance(error, httpx.HTTPStatusError):
        message = f"the server answered {error.response.status_code}"
    else:
        message = f"the server cannot be reached: {error or type(error).__name__}"
    if is_transient(error):
        return FeedUnavailableError(message, where=where, hint="try again later")
    return FeedError(message, where=where, hint="check the feed's address")


def options_known(cursor: Mapping[str, Any]) -> dict[str, str]:
    """The validators of a cursor, text alone: it comes from a database."""
    return {k: v for k in ("etag", "last_modified") if isinstance(v := cursor.get(k), str)}
