"""Feeds in TSV or CSV: a header names the columns, a record is a row."""

import csv
import functools
from collections.abc import Iterator, Sequence

from adloom.catalog import RejectedRow
from adloom.errors import FeedError
from adloom.feed_rows import FeedRow, RowReason, known_id
from adloom.field_mapping import Cell, FieldMapping, column_name
from catalog_connectors.feed.errors import truncated
from catalog_connectors.feed.options import DELIMITERS
from catalog_connectors.feed.records import Record, RecordReader
from catalog_connectors.feed.unpacking import Content


def delimited_rows(
    lines: Iterator[str], content: Content, mapping: FieldMapping, delimiter: str | None
) -> Iterator[FeedRow | RejectedRow]:
    """The rows of a delimited text. Raises FeedError for a header that cannot be used, and
    FeedTruncatedError for a last row that breaks off."""
    content.by_lines = True
    reader = RecordReader(lines, delimiter)
    head = reader.preamble()
    if head is None:
        raise FeedError(
            "the feed is empty", where=content.where, hint="its first line names the columns"
        )
    reader.delimiter = delimiter or reader.delimiter or _detected_delimiter(head, mapping)
    records = reader.records()
    columns = _columns(next(records, None), content.where, mapping)
    content.open_end = reader.open_end
    reader.width = len(columns)
    narrowed, short_rows = mapping.narrowed(columns), 0
    reader.id_of = functools.partial(_id_among, columns, narrowed)
    repeated = len(set(columns)) < len(columns)
    for record in records:
        content.open_end = reader.open_end
        if isinstance(record, RejectedRow):
            yield record
            continue
        width = len(record.fields)
        if width < len(columns):
            if reader.last_line_open:
                _check_cut_off(record, content, short_rows, len(columns))
            short_rows += 1
        elif width > len(columns) and any(f.strip() for f in record.fields[len(columns) :]):
            yield _too_many(record, columns, narrowed)
            continue
        cells = _gathered(columns, record.fields) if repeated else dict(
            zip(columns, record.fields, strict=False)
        )  # fmt: skip
        yield FeedRow(record.line, cells)


def header_columns(names: Sequence[str], where: str, mapping: FieldMapping) -> list[str]:
    """The columns that a header names. Raises FeedError where a required one is missing, or one
    that must be alone occurs twice."""
    columns = [column_name(name) for name in names]
    if lacking := mapping.lacks(columns):
        rule = mapping.rules.get(lacking)
        tried = ", ".join(rule.reads if rule else ()) or lacking
        raise FeedError(
            f"the feed has no column '{lacking}'",
            where=where,
            hint=f"the mapping '{mapping.name}' looks for: {tried}; the feed has: "
            f"{', '.join(columns)[:200] or 'none'}; see --mapping",
        )
    photos = mapping.rules.get("additional_image_link")
    for name in columns:
        if not name or columns.count(name) == 1 or name not in mapping.columns:
            continue
        if photos is None or name not in photos.columns:
            raise FeedError(
                f"the feed has the column '{name}' twice", where=where, hint="remove one"
            )
    return columns


def _columns(header: Record | RejectedRow | None, where: str, mapping: FieldMapping) -> list[str]:
    return header_columns(header.fields if isinstance(header, Record) else [], where, mapping)


def _gathered(columns: Sequence[str], fields: Sequence[str]) -> dict[str, Cell]:
    """Cells of a row in which a column may be there several times."""
    cells: dict[str, Cell] = {}
    for name, value in zip(columns, fields, strict=False):
        before = cells.get(name)
        if before:
            value = f"{before},{value}" if value.strip() else str(before)
        cells[name] = value
    return cells


def _check_cut_off(record: Record, content: Content, short_rows: int, width: int) -> None:
    """A last row that breaks off where no other was short: the file is not complete.

    Exporters that drop empty trailing fields leave other short rows behind; a server or a checksum
    may have vouched for the length.
    """
    if not short_rows and not content.proven:
        raise truncated(
            content.where,
            f"line {record.line}, the last, breaks off after {len(record.fields)} of {width} fields"
            "; if the feed is complete, end it with a line break",
        )


def _too_many(record: Record, columns: Sequence[str], mapping: FieldMapping) -> RejectedRow:
    return RejectedRow(
        record.line,
        _id_among(columns, mapping, record.fields[:1]),  # what follows may be one column further
        RowReason.TOO_MANY_FIELDS,
        f"{len(record.fields)} fields under {len(columns)} columns; quote fields that hold the "
        "delimiter",
    )


def _id_among(columns: Sequence[str], mapping: FieldMapping, leading: Sequence[str]) -> str | None:
    """The id that a row's first fields hold; None where a column that goes before is not there."""
    cells = dict(zip(columns, leading, strict=False))
    rule = mapping.rules.get("id")
    for name in rule.columns if rule else ():
        if name not in cells:
            return None
        if cells[name]:
            return known_id(cells, mapping)
    return None


def _detected_delimiter(head: str, mapping: FieldMapping) -> str:
    """The delimiter under which most of the header's cells are columns that the mapping knows."""
    known = mapping.columns

    def score(delimiter: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([head], delimiter=delimiter))
        except (csv.Error, StopIteration):
            return 0, 0
        return len({column_name(c) for c in cells} & known), len(cells)

    return max(DELIMITERS, key=score)
