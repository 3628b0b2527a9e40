"""A feed's bytes -> its text, in whatever encoding it comes.

The byte order mark decides; without one UTF-16 is told by its zero bytes, and UTF-8 is assumed. A
feed that was plain ASCII up to a byte that is no UTF-8 is read as Windows-1252 from there on. Where
UTF-8 characters came before, the byte is damage: it stays in the text as a lone surrogate, and
costs its own row alone.
"""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from adloom.errors import FeedError
from catalog_connectors.feed.errors import FeedDamagedError, truncated
from catalog_connectors.feed.streams import CHUNK_BYTES

FALLBACK = "cp1252"
MAX_LINE_CHARS = 1_000_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def detected_encoding(head: bytes) -> tuple[str | None, int]:
    """The encoding that a text's first bytes tell, None for UTF-8 by default; its mark's bytes."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    sample = head[:200]
    if len(sample) >= 4 and 4 * sample.count(0) > len(sample):
        return ("utf-16-be" if sample[0::2].count(0) > sample[1::2].count(0) else "utf-16-le"), 0
    return None, 0


def decoded(file: BinaryIO, head: bytes, *, encoding: str | None, where: str) -> Iterator[str]:
    """The text, chunk by chunk. Raises FeedDamagedError, FeedTruncatedError for UTF-16 alone."""
    name, mark = detected_encoding(head)
    name = encoding or name
    if mark:
        file.read(mark)
    if name is None:
        yield from _utf8_or_fallback(file)
    elif name.startswith(("utf-16", "utf-32")):
        yield from _wide(file, name, where)
    else:
        decoder = codecs.getincrementaldecoder(name)(errors="surrogateescape")
        while chunk := file.read(CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", True)


def _wide(file: BinaryIO, name: str, where: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(name)(errors="surrogatepass")
    try:
        while chunk := file.read(CHUNK_BYTES):
            yield decoder.decode(chunk)
    except UnicodeDecodeError as error:
        raise FeedDamagedError(
            f"the feed is not {name.upper()} throughout", where=where, hint="save it as UTF-8"
        ) from error
    try:
        yield decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        raise truncated(where, "the feed breaks off within a character") from error


def _utf8_or_fallback(file: BinaryIO) -> Iterator[str]:
    rest = b""
    while chunk := file.read(CHUNK_BYTES):
        data = rest + chunk
        if data.isascii():
            rest = b""
            yield data.decode("ascii")
            continue
        try:
            text, used = codecs.utf_8_decode(data, "strict", False)
        except UnicodeDecodeError as error:
            plain = data[: error.start].isascii()
            yield from _locked(file, data, FALLBACK if plain else "utf-8")
            return
        rest = data[used:]
        yield text
        if not text.isascii():
            yield from _locked(file, rest, "utf-8")
            return
    if rest:  # begins a character of UTF-8 that does not end: a character of one byte, the last
        yield rest.decode(FALLBACK, "surrogateescape")


def _locked(file: BinaryIO, data: bytes, name: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(name)(errors="surrogateescape")
    yield decoder.decode(data)
    while chunk := file.read(CHUNK_BYTES):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


def lines(chunks: Iterator[str], *, where: str) -> Iterator[str]:
    r"""Lines with their ends; the last one, perhaps, has none. \r\n and \r become \n.

    Raises FeedError for a line beyond MAX_LINE_CHARS: such a file is no text of lines.
    """
    rest, count = "", 1
    for chunk in chunks:
        *whole, rest = _split(rest + chunk)
        yield from whole
        count += len(whole)
        if len(rest) > MAX_LINE_CHARS:
            raise FeedError(
                f"line {count} is longer than {MAX_LINE_CHARS} characters",
                where=where,
                hint="check that the file is a feed in TSV, CSV or JSON Lines",
            )
    yield from (text for text in _split(rest, final=True) if text)


def _split(text: str, *, final: bool = False) -> list[str]:
    held = ""
    if "\r" in text:
        if text.endswith("\r") and not final:  # its \n may come with the next chunk
            held, text = "\r", text[:-1]
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    parts = text.split("\n")
    return [*(part + "\n" for part in parts[:-1]), parts[-1] + held]
