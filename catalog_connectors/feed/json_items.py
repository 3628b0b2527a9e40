"""Feeds in JSON: one object a line (JSON Lines), or a list of objects, read as a stream.

Numbers keep their digits as written: an id of twenty digits is an id, and 9.90 stays 9.90.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from adloom.catalog import RejectedRow
from adloom.errors import FeedError
from adloom.feed_rows import FeedRow, RowReason, RowRefusedError
from adloom.field_mapping import FieldMapping
from catalog_connectors.feed.errors import FeedDamagedError, truncated
from catalog_connectors.feed.records import MAX_RECORD_CHARS
from catalog_connectors.feed.text import lines
from catalog_connectors.feed.unpacking import Content
from catalog_connectors.values import cells_of, id_of

_LISTS = ("products", "items", "entries", "data")


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_constant)
_SPACE = re.compile(r"[ \t\r\n]*")
_BETWEEN = re.compile(r"[ \t\r\n]*(,?)[ \t\r\n]*")


def json_rows(
    chunks: Iterator[str], head: str, content: Content, mapping: FieldMapping
) -> Iterator[FeedRow | RejectedRow]:
    """The objects of a JSON feed. `head` is the text's beginning.

    A broken line of JSON Lines costs itself alone. Raises FeedDamagedError where a list is broken,
    FeedTruncatedError where the text ends before its end.
    """
    named = "|".join(map(re.escape, (mapping.records, *_LISTS) if mapping.records else _LISTS))
    opening = re.match(rf'\s*(?:\{{\s*"(?:{named})"\s*:\s*)?\[', head, re.IGNORECASE)
    if opening is not None:
        return _of_list(chunks, opening.end(), content, mapping)
    return _of_lines(chunks, content, mapping)


def _of_lines(
    chunks: Iterator[str], content: Content, mapping: FieldMapping
) -> Iterator[FeedRow | RejectedRow]:
    good, content.by_lines = 0, True
    for number, line in enumerate(lines(chunks, where=content.where), start=1):
        content.open_end = not line.endswith("\n")
        if not line.strip():
            continue
        try:
            value = _DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            if not line.endswith("\n"):
                raise truncated(
                    content.where, f"line {number}, the last, breaks off within its JSON"
                ) from error
            if not good and number == 1:
                raise _not_lines(content.where, error) from error
            yield _bad(number, str(error))
            continue
        good += 1
        yield _row(number, value, len(line), mapping)


def _of_list(
    chunks: Iterator[str], start: int, content: Content, mapping: FieldMapping
) -> Iterator[FeedRow | RejectedRow]:
    """The elements of a list whose first one begins at `start`; the buffer holds a few at most."""
    buffer, at, number, final = next(chunks, ""), start, 0, False
    while True:
        at = _SPACE.match(buffer, at).end()  # pyright: ignore[reportOptionalMemberAccess]
        if buffer.startswith("]", at):
            return
        try:
            if at >= len(buffer):
                raise ValueError("the list does not end")
            value, end = _DECODER.raw_decode(buffer, at)
            after = _BETWEEN.match(buffer, end)
            assert after is not None  # it matches the empty text
            if after.end() == len(buffer):  # a number, or the list, may go on
                raise ValueError("the list does not end")
            if not after[1] and not buffer.startswith("]", after.end()):
                raise _damaged(content, number + 1, "no comma after an element")
        except RecursionError as error:
            raise _damaged(content, number + 1, "it is nested too deeply") from error
        except ValueError as error:
            if final:
                raise truncated(
                    content.where, f"the JSON list breaks off after {number} products: {error}"
                ) from error
            if len(buffer) - at > 2 * MAX_RECORD_CHARS + (1 << 19):
                raise _damaged(content, number + 1, str(error)) from error
            more = next(chunks, None)
            final, buffer, at = more is None, buffer[at:] + (more or ""), 0
            continue
        number += 1
        yield _row(number, value, end - at, mapping)
        at = after.end()


def _row(number: int, value: Any, chars: int, mapping: FieldMapping) -> FeedRow | RejectedRow:
    if not isinstance(value, dict):
        return _bad(number, "it is not an object {…}")
    if chars > MAX_RECORD_CHARS:
        found = id_of(value.items(), mapping)
        long = f"more than {MAX_RECORD_CHARS} characters"
        return RejectedRow(number, found, RowReason.ROW_TOO_LONG, long)
    try:
        return FeedRow(number, cells_of(value.items()))
    except RowRefusedError as error:
        return RejectedRow(number, id_of(value.items(), mapping), error.reason, error.message)


def _bad(number: int, why: str) -> RejectedRow:
    return RejectedRow(number, None, RowReason.BAD_JSON, f"this is no product in JSON: {why[:200]}")


def _damaged(content: Content, number: int, why: str) -> FeedDamagedError:
    return FeedDamagedError(
        f"product {number} of the JSON list cannot be read: {why[:200]}",
        where=content.where,
        hint="write the feed with a JSON library; one object a line costs a broken one alone",
    )


def _not_lines(where: str, error: Exception) -> FeedError:
    return FeedError(
        f"line 1 is no JSON object: {error}",
        where=where,
        hint='write one object a line, a list of them, or {"products": [ … ]}',
    )
