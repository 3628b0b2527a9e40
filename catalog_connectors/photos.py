"""Product photos: fetched within limits, checked, made upright sRGB."""

import stat
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from adloom.cutouts import Photo
from adloom.errors import AddressRefusedError, InvalidInputError
from catalog_connectors.addresses import shown
from catalog_connectors.http import attempts, declared_bytes, is_transient, open_once
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
    "PhotoLimits",
    "PhotoReason",
    "PhotoRefusedError",
    "PhotoUnavailableError",
    "fetch_photo",
]


@dataclass(frozen=True, slots=True)
class FetchedPhoto:
    """A photo to be stored: its content, and `photo` (sha256, size, type) as said of that content.

    `validator` tells a later fetch whether the photo has changed ("" if the server gives none).
    """

    content: bytes
    photo: Photo
    has_alpha: bool
    validator: str


@dataclass(frozen=True, slots=True)
class _Download:
    data: bytes
    validator: str


def fetch_photo(
    location: str,
    *,
    limits: PhotoLimits,
    allow_private: bool,
    known_validator: str | None = None,
) -> FetchedPhoto | None:
    """The photo at an absolute local path or http(s) address; None if it is still the known one.

    Raises PhotoRefusedError (a PhotoError with a `reason`), of it PhotoAddressRefusedError for a
    private address unless `allow_private`, and PhotoUnavailableError where a later try may help.
    """
    remote = location.lower().startswith(("http://", "https://"))
    where = _shown(location) if remote else location
    if remote:
        download = _fetch(location, where, limits, allow_private, known_validator or "")
    else:
        download = _read(Path(location), where, limits, known_validator or "")
    if download is None:
        return None
    decoded = decode_photo(download.data, limits, where)
    return FetchedPhoto(decoded.content, decoded.photo, decoded.has_alpha, download.validator)


def _shown(location: str) -> str:
    try:
        return shown(location)
    except httpx.InvalidURL as error:
        raise PhotoRefusedError(
            PhotoReason.BAD_ADDRESS, f"the address cannot be read: {error}", where=location[:80]
        ) from error


def _too_large(size: int, limits: PhotoLimits, where: str) -> PhotoRefusedError:
    return PhotoRefusedError(
        PhotoReason.TOO_LARGE,
        f"the photo has {size} bytes or more; {limits.max_bytes} are allowed",
        where=where,
        hint="give a smaller file",
    )


def _read(path: Path, where: str, limits: PhotoLimits, known: str) -> _Download | None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PhotoRefusedError(PhotoReason.NOT_FOUND, "this is not a file", where=where)
        validator = f"file:{status.st_size}-{status.st_mtime_ns}"
        if validator == known:
            return None
        if status.st_size > limits.max_bytes:
            raise _too_large(status.st_size, limits, where)
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


def _fetch(
    url: str, where: str, limits: PhotoLimits, allow_private: bool, known: str
) -> _Download | None:
    try:
        for attempt in attempts():
            with attempt:
                return _fetch_once(url, where, limits, allow_private, known)
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
        raise _translated(error, where) from error
    return None


def _translated(error: httpx.HTTPError, where: str) -> PhotoRefusedError:
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if is_transient(error):
            return PhotoUnavailableError(
                PhotoReason.UNREACHABLE, f"the server answered {status}", where=where
            )
        reason = PhotoReason.NOT_FOUND if status in (404, 410) else PhotoReason.HTTP_STATUS
        return PhotoRefusedError(reason, f"the server answered {status}", where=where)
    message = f"{error or type(error).__name__}"
    if isinstance(error, httpx.RemoteProtocolError):
        return PhotoUnavailableError(PhotoReason.TRUNCATED, message, where=where)
    if isinstance(error, httpx.TimeoutException):
        return PhotoUnavailableError(PhotoReason.TOO_SLOW, f"no answer: {message}", where=where)
    if is_transient(error):
        return PhotoUnavailableError(PhotoReason.UNREACHABLE, message, where=where)
    return PhotoRefusedError(PhotoReason.BAD_ADDRESS, message, where=where)


def _fetch_once(
    url: str, where: str, limits: PhotoLimits, allow_private: bool, known: str
) -> _Download | None:
    deadline = time.monotonic() + limits.timeout_s
    with open_once(
        url, allow_private=allow_private, timeout_s=limits.timeout_s, headers=_conditions(known)
    ) as response:
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        declared = declared_bytes(response)
        if declared is not None and declared > limits.max_bytes:
            raise _too_large(declared, limits, where)
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > limits.max_bytes:
                raise _too_large(len(data), limits, where)
            if time.monotonic() > deadline:
                raise PhotoUnavailableError(
                    PhotoReason.TOO_SLOW,
                    f"only {len(data)} bytes came in {limits.timeout_s:g} s",
                    where=where,
                )
        if declared is not None and response.num_bytes_downloaded < declared:
            raise httpx.RemoteProtocolError(f"{len(data)} bytes came of {declared}")
        return _Download(bytes(data), _validator(response))


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
