"""Product photos: fetched within limits, checked, made upright sRGB."""

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from adloom.cutouts import Photo
from adloom.errors import AddressRefusedError, InvalidInputError
from catalog_connectors.addresses import shown
from catalog_connectors.connections import Clients, open_client, within
from catalog_connectors.fanning import Hosts
from catalog_connectors.http import attempts, is_transient, open_once, retry_after_s, wait_after
from catalog_connectors.memory import share_heap
from catalog_connectors.photo_body import read_body, too_large
from catalog_connectors.photo_decoding import PhotoLimits, decode_photo
from catalog_connectors.photo_errors import (
    PhotoAddressRefusedError,
    PhotoReason,
    PhotoRefusedError,
    PhotoUnavailableError,
)

__all__ = [
    "FetchedPhoto",
    "PhotoAddressRefusedError",
    "PhotoFetcher",
    "PhotoLater",
    "PhotoLimits",
    "PhotoReason",
    "PhotoRefusedError",
    "PhotoUnavailableError",
    "fetch_photo",
    "host_of",
]


_KEPT_CLIENTS = 4  # for each thread: hosts take turns, and a pause leaves theirs unused


@dataclass(frozen=True, slots=True)
class FetchedPhoto:
    """A photo to be stored: its content, and `photo` (sha256, size, type) as said of that content.

    `validator` tells a later fetch whether the photo has changed ("" if the server gives none).
    `notes` say what of the file the photo is not, such as the later frames of an animation.
    """

    content: bytes
    photo: Photo
    has_alpha: bool
    validator: str
    notes: tuple[str, ...] = ()


class PhotoLater(Exception):
    """A photo that is worth another attempt in `after_s` seconds."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"again in {after_s:.1f} s")
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class _Download:
    data: bytes
    validator: str


class PhotoFetcher:
    """Fetches photos over kept-alive connections; any number of threads may use it, `connections`
    of them at once without opening new ones. Close it.

    Of the photos at hand only `decoders` are decoded at once: a decoded photo is many times the
    size of its file, and twice as many threads as processors keep these busy. `hosts` learns which
    of them asked to be left alone or do not answer.
    """

    def __init__(
        self,
        limits: PhotoLimits,
        *,
        allow_private: bool,
        connections: int = 1,
        decoders: int | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        share_heap()
        self._limits = limits
        self._allow_private = allow_private
        self._decoding = threading.BoundedSemaphore(decoders or 2 * (os.cpu_count() or 1))
        self._hosts = hosts or Hosts()
        self._clients = Clients(
            # The second connection: to where a host redirects its photos.
            lambda: open_client(
                allow_private=allow_private, timeout_s=limits.timeout_s, connections=2
            ),
            keep=_KEPT_CLIENTS * connections,
        )

    def close(self) -> None:
        self._clients.close()

    def __enter__(self) -> "PhotoFetcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(
        self,
        location: str,
        *,
        known_validator: str | None = None,
        attempt: int | None = None,
        downloaded: Callable[[], None] | None = None,
    ) -> FetchedPhoto | None:
        """The photo at an absolute local path or http(s) address; None if it is the known one.

        `attempt`: None makes all attempts here, waiting between them; a number (from 1) makes that
        one alone, and raises PhotoLater where there is to be another. `downloaded` is called
        before the photo is decoded, when its host is needed no more. Raises PhotoRefusedError (a
        PhotoError with a `reason`), of it PhotoAddressRefusedError for a private address that is
        not allowed, and PhotoUnavailableError where a later try may help.
        """
        where, known = _shown(location) if _remote(location) else location, known_validator or ""
        if _remote(location):
            download = self._from_host(location, where, known, attempt)
        else:
            download = _read(Path(location), where, self._limits, known)
        if downloaded is not None:
            downloaded()
        if download is None:
            return None
        with self._decoding:
            decoded = decode_photo(download.data, self._limits, where)
        return FetchedPhoto(
            decoded.content, decoded.photo, decoded.has_alpha, download.validator, decoded.notes
        )

    def _from_host(self, url: str, where: str, known: str, attempt: int | None) -> _Download | None:
        """A download, unless its host is given up; the host's record says how it went."""
        host = host_of(url)
        if self._hosts.is_given_up(host):
            raise PhotoUnavailableError(
                PhotoReason.UNREACHABLE,
                f"not asked for: the last photos at {host} all failed",
                where=where,
                hint="sync again once the host is well",
            )
        try:
            download = self._download(url, where, known, attempt)
        except PhotoUnavailableError:
            self._hosts.failed(host)
            raise
        except PhotoRefusedError:
            self._hosts.answered(host)
            raise
        self._hosts.answered(host)
        return download

    def _download(self, url: str, where: str, known: str, attempt: int | None) -> _Download | None:
        try:
            if attempt is not None:
                return self._download_once(url, where, known)
            for each in attempts():
                with each:
                    return self._download_once(url, where, known)
        except AddressRefusedError as error:
            raise PhotoAddressRefusedError(
                PhotoReason.ADDRESS_REFUSED, error.message, where=where, hint=error.hint
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, InvalidInputError) as error:
            if isinstance(error, PhotoRefusedError):
                raise
            raise PhotoRefusedError(
                PhotoReason.BAD_ADDRESS, f"the address cannot be read: {error}", where=where
            ) from error
        except httpx.HTTPError as error:
            if attempt is not None and (after_s := wait_after(error, attempt)) is not None:
                raise PhotoLater(after_s) from error
            raise _translated(error, where) from error
        return None

    def _download_once(self, url: str, where: str, known: str) -> _Download | None:
        """One attempt; what ran out of time is not tried again: it would take as long."""
        try:
            with within(self._limits.timeout_s):
                return self._body(url, where, known)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            message = f"not all of it came in {self._limits.timeout_s:g} s"
            raise PhotoUnavailableError(PhotoReason.TOO_SLOW, message, where=where) from error
        except httpx.HTTPStatusError as error:
            if asked := retry_after_s(error):
                self._hosts.pause(host_of(url), asked)
            raise

    def _body(self, url: str, where: str, known: str) -> _Download | None:
        limits = self._limits
        with (
            self._clients.one(host_of(url)) as client,
            open_once(
                url,
                allow_private=self._allow_private,
                timeout_s=limits.timeout_s,
                headers=_conditions(known),
                client=client,
            ) as response,
        ):
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return None
            return _Download(read_body(response, limits, where), _validator(response))


def fetch_photo(
    location: str,
    *,
    limits: PhotoLimits,
    allow_private: bool,
    known_validator: str | None = None,
) -> FetchedPhoto | None:
    """One photo by a fetcher of its own: see `PhotoFetcher.fetch`."""
    with PhotoFetcher(limits, allow_private=allow_private) as fetcher:
        return fetcher.fetch(location, known_validator=known_validator)


def host_of(location: str) -> str:
    """The host and port that a location is at; "" for a file, or what no address can be read of."""
    if not _remote(location):
        return ""
    try:
        return httpx.URL(location).netloc.decode("ascii", "replace")
    except httpx.InvalidURL:
        return ""


def _remote(location: str) -> bool:
    return location[:8].lower().startswith(("http://", "https://"))


def _shown(location: str) -> str:
    try:
        return shown(location)
    except httpx.InvalidURL as error:
        raise PhotoRefusedError(
            PhotoReason.BAD_ADDRESS, f"the address cannot be read: {error}", where=location[:80]
        ) from error


def _read(path: Path, where: str, limits: PhotoLimits, known: str) -> _Download | None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PhotoRefusedError(PhotoReason.NOT_FOUND, "this is not a file", where=where)
        validator = f"file:{status.st_size}-{status.st_mtime_ns}"
        if validator == known:
            return None
        if status.st_size > limits.max_bytes:
            raise too_large(status.st_size, limits, where)
        return _Download(path.read_bytes(), validator)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoRefusedError(
            PhotoReason.NOT_FOUND,
            "there is no such file",
            where=where,
            hint="put it there or mend the feed",
        ) from error
    except (OSError, ValueError) as error:
        raise PhotoRefusedError(
            PhotoReason.UNREADABLE, f"the file cannot be read: {error}", where=where
        ) from error


def _translated(error: httpx.HTTPError, where: str) -> PhotoRefusedError:
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if is_transient(error):
            asked = retry_after_s(error)
            later = "" if asked is None else f" and asks to wait {asked:.0f} s"
            throttled = status == httpx.codes.TOO_MANY_REQUESTS
            return PhotoUnavailableError(
                PhotoReason.THROTTLED if throttled else PhotoReason.UNREACHABLE,
                f"the server answered {status}{later}",
                where=where,
            )
        reason = PhotoReason.NOT_FOUND if status in (404, 410) else PhotoReason.HTTP_STATUS
        return PhotoRefusedError(reason, f"the server answered {status}", where=where)
    message = f"{error or type(error).__name__}"
    if isinstance(error, httpx.RemoteProtocolError) and "without sending a response" not in message:
        return PhotoUnavailableError(PhotoReason.TRUNCATED, message, where=where)
    if isinstance(error, httpx.TimeoutException):
        return PhotoUnavailableError(PhotoReason.TOO_SLOW, f"no answer: {message}", where=where)
    if is_transient(error):
        return PhotoUnavailableError(PhotoReason.UNREACHABLE, message, where=where)
    return PhotoRefusedError(PhotoReason.BAD_ADDRESS, message, where=where)


def _validator(response: httpx.Response) -> str:
    if etag := response.headers.get("etag"):
        return f"etag:{etag}"
    modified = response.headers.get("last-modified", "")
    return f"modified:{modified}" if modified else ""


def _conditions(known: str) -> dict[str, str]:
    kind, _, value = known.partition(":")
    if kind == "etag":
        return {"If-None-Match": value}
    return {"If-Modified-Since": value} if kind == "modified" else {}
