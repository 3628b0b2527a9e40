"""Lines -> records of fields, so that one bad quote costs one row and not the rest of the feed.

A quoted field may hold line breaks. An opening quote that nobody closes would swallow every row
up to the next quote; a snapshot would then take those products for gone. So a record over several
lines must prove itself: if it never closes, closes in the middle of a field, grows beyond bounds or
has too many fields, its first line alone is refused and reading goes on with its second.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adloom.catalog import RejectedRow
from adloom.feed_rows import RowReason

MAX_RECORD_LINES = 500
MAX_RECORD_CHARS = 120_000
"""Below the csv module's limit for one field, 131072."""

_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one record and the line of the file on which it begins (1 = header)."""

    line: int
    fields: list[str]


@dataclass(slots=True)
class _Lines:
    """The lines of a feed with the possibility to put some back."""

    source: Iterator[str]
    back: deque[str]
    number: int = 0
    open_end: bool = False
    """Whether the last line that came from the source had no line break."""

    def take(self) -> str | None:
        if self.back:
            line: str | None = self.back.popleft()
        else:
            line = next(self.source, None)
            if line is not None:
                self.open_end = not line.endswith("\n")
        if line is not None:
            self.number += 1
        return line

    def put_back(self, lines: list[str]) -> None:
        self.back.extendleft(reversed(lines))
        self.number -= len(lines)


class RecordReader:
    """Reads the records of a delimited feed one by one."""

    def __init__(self, lines: Iterator[str], delimiter: str | None = None) -> None:
        self._lines = _Lines(lines, deque())
        self.delimiter = delimiter or ""
        self.width: int | None = None
        self.id_of: Callable[[list[str]], str | None] = lambda _: None
        """The id that a row's first fields hold, where those are all that can be read of it."""
        self.last_line_open = False
        """Whether the record read last ended without a line break: the end of the file."""

    @property
    def open_end(self) -> bool:
        """Whether the text, as far as it was read, ends within a line."""
        return self._lines.open_end

    def records(self) -> Iterator[Record | RejectedRow]:
        """All records that are not blank."""
        while (first := self._lines.take()) is not None:
            if first.strip(" \t\n\r,;|\ufeff"):
                yield self._record(first)

    def preamble(self) -> str | None:
        """The first line that holds something and is no comment (`# …`, as Meta's samples begin);
        it stays to be read. Excel's `sep=;` sets the delimiter."""
        while (line := self._lines.take()) is not None:
            text = line.strip(" \t\n\r\ufeff")
            if text.lower().startswith("sep=") and len(text) == 5:
                self.delimiter = text[4]
            elif text and not text.startswith("# "):
                self._lines.put_back([line])
                return line
        return None

    def _record(self, first: str) -> Record | RejectedRow:
        start = self._lines.number
        if '"' not in first and len(first) <= MAX_RECORD_CHARS:
            self.last_line_open = not first.endswith("\n")
            return Record(start, first.removesuffix("\n").split(self.delimiter))
        taken = [first]
        fields = self._parse(taken)
        self.last_line_open = not taken[-1].endswith("\n")
        if fields is not None and len(taken) == 1:
            return Record(start, fields)
        if fields is not None and (self.width is None or len(fields) <= self.width):
            return Record(start, fields)
        self._lines.put_back(taken[1:])
        self.last_line_open = False
        too_long = len(first) > MAX_RECORD_CHARS
        return RejectedRow(
            start,
            self.id_of(_leading(first, self.delimiter)),
            RowReason.ROW_TOO_LONG if too_long else RowReason.UNCLOSED_QUOTE,
            f"the row has more than {MAX_RECORD_CHARS} characters"
            if too_long
            else "a quoted field is never closed; double the quotes inside of quoted fields",
        )

    def _parse(self, taken: list[str]) -> list[str] | None:
        """The record that begins with `taken[0]`; lines it needs are added to `taken`."""
        closed = True

        def lines() -> Iterator[str]:
            nonlocal closed
            yield taken[0]
            chars = len(taken[0])
            while len(taken) < MAX_RECORD_LINES and chars <= MAX_RECORD_CHARS:
                line = self._lines.take()
                if line is None:
                    break
                taken.append(line)
                chars += len(line)
                yield line
            closed = False

        if len(taken[0]) > MAX_RECORD_CHARS:
            return None
        try:
            fields = next(csv.reader(lines(), delimiter=self.delimiter))
            if len(taken) > 1:  # a stray quote is closed by the next field's opening one
                fields = next(csv.reader(taken, delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        return fields if closed else None


def _leading(line: str, delimiter: str) -> list[str]:
    """The first fields of a line up to the one whose quote does not close; that one up to the next
    delimiter, as if it were not quoted. What comes behind could be any column's."""
    fields: list[str] = []
    line, at = line.rstrip("\n"), 0
    while at <= len(line):
        quoted = _QUOTED.match(line, at)
        if quoted is not None and line[quoted.end() : quoted.end() + 1] in ("", delimiter):
            fields.append(quoted[1].replace('""', '"'))
            at = quoted.end() + 1
            continue
        found, _, _ = line[at : at + MAX_RECORD_CHARS].partition(delimiter)
        fields.append(found.strip('"'))
        if line.startswith('"', at):
            break
        at += len(found) + 1
    return fields
