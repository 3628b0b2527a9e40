"""The Google Merchant product feed: TSV or CSV, local or http(s), read as a stream."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from adloom.catalog import Delivery, ProductRecord, RejectedRow
from adloom.errors import FeedError, FeedTruncatedError
from adloom.feed_rows import (
    REPEATABLE_COLUMNS,
    REQUIRED_COLUMNS,
    FeedRow,
    RowReason,
    RowRefusedError,
    column_name,
    is_web_address,
    product_record,
)
from catalog_connectors.addresses import shown
from catalog_connectors.feed_records import RecordReader
from catalog_connectors.feed_stream import file_chunks, http_chunks, text_lines

DELIMITERS = ("\t", ",", ";", "|")
_DELIMITER_NAMES = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_TRUTHS = {"true": True, "false": False}
_ALLOWED = {
    "delivery": "snapshot or delta",
    "delimiter": "tab, comma, semicolon or pipe",
    "max_bytes": "a number above 0",
    "allow_outside": "true or false",
}


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How to read a feed.

    `delimiter` is one of tab, comma, semicolon, pipe (or the character); detected when None.
    `allow_outside` lets a local feed name photos outside of its own folder.
    """

    delivery: Delivery = Delivery.SNAPSHOT
    delimiter: str | None = None
    max_bytes: int = 4 << 30
    allow_outside: bool = False

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "FeedOptions":
        """Values may be text, as a command line has them. Raises FeedError for an unknown option
        or value, naming those there are."""
        if unknown := sorted(set(options) - set(_ALLOWED)):
            there = "; ".join(
                f"{name}: {values}"
                for name, values in sorted(_ALLOWED.items())
                if name != "delivery"  # the source's own, not for a user to give as an option
            )
            raise FeedError(f"unknown feed option '{unknown[0]}'", hint=f"there are {there}")
        return cls(**{name: _option(name, value) for name, value in options.items()})


def _option(name: str, value: Any) -> Any:
    try:
        if name == "delivery":
            return Delivery(value)
        if name == "max_bytes" and not isinstance(value, bool) and int(value) > 0:
            return int(value)
        if name == "allow_outside":
            return value if isinstance(value, bool) else _TRUTHS[str(value).lower()]
        if name == "delimiter":
            found = None if value is None else _DELIMITER_NAMES.get(str(value), str(value))
            if found is None or found in DELIMITERS:
                return found
    except (ValueError, TypeError, KeyError):
        pass
    raise FeedError(f"the feed option '{name}' cannot be {value!r}", hint=f"it is {_ALLOWED[name]}")


class FeedSource:
    """A product feed at one location; a `CatalogSource`."""

    def __init__(self, location: str, *, allow_private: bool, options: FeedOptions) -> None:
        self._remote = location.lower().startswith(("http://", "https://"))
        self._allow_private = allow_private
        self._options = options
        if self._remote:
            if not is_web_address(location):
                raise FeedError(f"'{location}' is not a complete http(s) address")
            self._location = location
        else:
            self._location = str(local_path(location))
        self._where = shown(location) if self._remote else self._location

    @property
    def delivery(self) -> Delivery:
        return self._options.delivery

    def records(self) -> Iterator[ProductRecord | RejectedRow]:
        """Products and rejected rows in the feed's order; reads while the caller takes."""
        lines = text_lines(self._chunks(), where=self._where, max_bytes=self._options.max_bytes)
        head = next((line for line in lines if line.strip()), None)
        if head is None:
            raise FeedError(
                "the feed is empty", where=self._where, hint="its first line names the columns"
            )
        delimiter = self._options.delimiter or _detected_delimiter(head)
        reader = RecordReader(chain([head], lines), delimiter)
        rows = reader.records()
        columns = self._columns(next(rows, None))
        reader.width = len(columns)
        seen: dict[str, int] = {}
        short_rows = 0
        for row in rows:
            if isinstance(row, RejectedRow):
                yield row
                continue
            if len(row.fields) < len(columns):
                self._check_cut_off(row, reader, short_rows, len(columns))
                short_rows += 1
            yield _unique(product_record(row, columns, self._resolve_photo), row.line, seen)

    def _chunks(self) -> Iterator[bytes]:
        if self._remote:
            return http_chunks(self._location, allow_private=self._allow_private)
        return file_chunks(Path(self._location))

    def _columns(self, header: FeedRow | RejectedRow | None) -> Sequence[str]:
        names = [column_name(f) for f in header.fields] if isinstance(header, FeedRow) else []
        for required in REQUIRED_COLUMNS:
            if required not in names:
                raise FeedError(
                    f"the feed has no column '{required}'",
                    where=self._where,
                    hint=f"line 1 names the columns; it has: {', '.join(names)[:200] or 'none'}",
                )
        for name in names:
            if name and names.count(name) > 1 and name not in REPEATABLE_COLUMNS:
                raise FeedError(
                    f"the feed has the column '{name}' twice", where=self._where, hint="remove one"
                )
        return names

    def _check_cut_off(
        self, row: FeedRow, reader: RecordReader, short_rows: int, width: int
    ) -> None:
        """A last row that breaks off where no other was short: the file is not complete.

        Exporters that drop empty trailing fields leave other short rows behind.
        """
        if reader.last_line_open and not short_rows:
            raise FeedTruncatedError(
                f"line {row.line}, the last, breaks off after {len(row.fields)} of {width} fields",
                where=self._where,
                hint="fetch the file again; if it is complete, end it with a line break",
            )

    def _resolve_photo(self, written: str) -> str:
        """A photo location that is not an http(s) address, resolved against the feed's own."""
        if self._remote:
            if urlsplit(written).scheme or written.startswith(("//", "\\")):
                raise RowRefusedError(
                    RowReason.BAD_PHOTO_LOCATION, f"'{written[:80]}' is not an http(s) address"
                )
            return urljoin(self._location, written.replace(" ", "%20"))
        return _local_photo(written, Path(self._location).parent, self._options.allow_outside)


def _local_photo(written: str, folder: Path, allow_outside: bool) -> str:
    try:
        path = (folder / local_path(written, base=folder)).resolve()
    except (FeedError, OSError, RuntimeError, ValueError) as error:
        raise RowRefusedError(
            RowReason.BAD_PHOTO_LOCATION, f"'{written[:80]}' is neither a path nor an address"
        ) from error
    if not allow_outside and not path.is_relative_to(folder.resolve()):
        raise RowRefusedError(
            RowReason.PHOTO_OUTSIDE_FEED,
            f"'{written[:80]}' lies outside of the feed's folder; move it there or set the "
            "option allow_outside",
        )
    return str(path)


def local_path(location: str, *, base: Path | None = None) -> Path:
    """The absolute path that a path or a file:// address names; FeedError for other schemes."""
    scheme, separator, rest = location.partition("://")
    if not location.strip():
        raise FeedError("the location is empty", hint="give a path or an http(s) address")
    if not separator:
        return base / location if base else Path.cwd() / Path(location).expanduser()
    host, _, path = rest.partition("/")
    if scheme.lower() != "file" or host not in ("", "localhost"):
        raise FeedError(
            f"a feed cannot be read from '{scheme[:20]}://…'",
            hint="give a path, file:///… or an http(s) address",
        )
    return Path("/" + unquote(path))


def _detected_delimiter(head: str) -> str:
    """The delimiter under which most of the header's cells are columns that adloom needs."""

    def score(delimiter: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([head], delimiter=delimiter))
        except csv.Error:
            return 0, 0
        return len({column_name(c) for c in cells} & set(REQUIRED_COLUMNS)), len(cells)

    return max(DELIMITERS, key=score)


def _unique(
    record: ProductRecord | RejectedRow, line: int, seen: dict[str, int]
) -> ProductRecord | RejectedRow:
    """The record, or a rejection if its id was there before: the first one counts."""
    if isinstance(record, RejectedRow):
        return record
    first = seen.setdefault(record.external_id, line)
    if first == line:
        return record
    return RejectedRow(
        line, record.external_id, RowReason.DUPLICATE_ID, f"the id was there in line {first}"
    )
