"""A feed's bytes as they come, from a file or over HTTP, and its text line by line."""

import codecs
from collections.abc import Iterator
from pathlib import Path

import httpx

from adloom.errors import AdloomError, FeedError, FeedTruncatedError, UnavailableError
from catalog_connectors.addresses import shown
from catalog_connectors.http import (
    CHUNK_BYTES,
    declared_bytes,
    is_transient,
    open_with_retries,
)

READ_TIMEOUT_S = 30.0
MAX_LINE_CHARS = 1_000_000


class FeedUnavailableError(FeedError, UnavailableError):
    """The feed's server does not answer."""

    retryable = True
    exit_code = UnavailableError.exit_code


def file_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a local feed. Raises FeedError when it cannot be read."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise FeedError(
            f"the feed cannot be read: {error.strerror}",
            where=str(path),
            hint="give the path of a TSV or CSV file that adloom may read",
        ) from error


def http_chunks(url: str, *, allow_private: bool) -> Iterator[bytes]:
    """The bytes of a remote feed.

    Raises FeedTruncatedError when fewer bytes come than the server declared,
    FeedUnavailableError when it does not answer, AddressRefusedError, FeedError for the rest.
    """
    try:
        with open_with_retries(
            url, allow_private=allow_private, timeout_s=READ_TIMEOUT_S
        ) as response:
            yield from _body(response, shown(url))
    except httpx.HTTPError as error:
        raise _translated(error, shown(url)) from error
    except httpx.InvalidURL as error:
        raise FeedError(f"the address cannot be read: {error}") from error


def _body(response: httpx.Response, where: str) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes(CHUNK_BYTES)
    except httpx.TransportError as error:
        raise FeedTruncatedError(
            f"the download broke off after {response.num_bytes_downloaded} bytes: {error}",
            where=where,
            hint="nothing was taken as missing; sync again",
        ) from error
    declared = declared_bytes(response)
    if declared is not None and response.num_bytes_downloaded < declared:
        raise FeedTruncatedError(
            f"{response.num_bytes_downloaded} bytes came of {declared}",
            where=where,
            hint="nothing was taken as missing; sync again",
        )


def _translated(error: httpx.HTTPError, where: str) -> AdloomError:
    if isinstance(error, httpx.HTTPStatusError):
        message = f"the server answered {error.response.status_code}"
    else:
        message = f"the server cannot be reached: {error or type(error).__name__}"
    if is_transient(error):
        return FeedUnavailableError(message, where=where, hint="try again later")
    return FeedError(message, where=where, hint="check the feed's address")


def text_lines(chunks: Iterator[bytes], *, where: str, max_bytes: int) -> Iterator[str]:
    """Lines with their line breaks, UTF-8 with or without byte order mark.

    Raises FeedError for other encodings, for binary files, and beyond `max_bytes`.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    size, line, rest = 0, 1, ""
    for chunk in chunks:
        if not size:
            _check_start(chunk, where)
        size += len(chunk)
        if size > max_bytes:
            raise FeedError(
                f"the feed is larger than {max_bytes} bytes",
                where=where,
                hint="raise the source's option max_bytes or split the feed",
            )
        *lines, rest = _split(rest + _decode(decoder, chunk, False, where, line))
        line += len(lines)
        yield from lines
        _check_line(rest, line, where)
    rest += _decode(decoder, b"", True, where, line)
    yield from (text for text in _split(rest) if text)


def _split(text: str) -> list[str]:
    """Lines with their ends; the last one, perhaps empty, has none. \\r\\n counts as one end."""
    held = "\r" if text.endswith("\r") else ""  # its \n may come with the next chunk
    body = text[: len(text) - len(held)]
    parts = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [*(part + "\n" for part in parts[:-1]), parts[-1] + held]


def _decode(
    decoder: codecs.IncrementalDecoder, data: bytes, final: bool, where: str, line: int
) -> str:
    try:
        return decoder.decode(data, final)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        raise FeedError(
            f"line {line} is not UTF-8: byte 0x{error.object[error.start]:02X}",
            where=where,
            hint="save the feed as UTF-8; this looks like Latin-1 or Windows-1252",
        ) from error


def _check_start(head: bytes, where: str) -> None:
    """Names the common wrong files before a decoder stumbles over them."""
    signs = (
        ((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "is UTF-16", "save it as UTF-8"),
        ((b"\x1f\x8b",), "is compressed (gzip)", "unpack it"),
        ((b"PK\x03\x04",), "is a ZIP or Excel file", "export it as TSV or CSV"),
        ((b"\xd0\xcf\x11\xe0",), "is an Excel file", "export it as TSV or CSV"),
    )
    for starts, what, hint in signs:
        if head.startswith(starts):
            raise FeedError(f"the feed {what}", where=where, hint=hint)
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()[:200].lower()
    if text.startswith((b"<!doctype html", b"<html")):
        raise FeedError(
            "the feed is a web page", where=where, hint="give the address of the feed itself"
        )
    if text.startswith((b"<?xml", b"<rss", b"<feed")):
        raise FeedError("the feed is XML", where=where, hint="export it as TSV or CSV")


def _check_line(text: str, line: int, where: str) -> None:
    if len(text) > MAX_LINE_CHARS:
        raise FeedError(
            f"line {line} is longer than {MAX_LINE_CHARS} characters",
            where=where,
            hint="check that the file is a TSV or CSV feed",
        )
