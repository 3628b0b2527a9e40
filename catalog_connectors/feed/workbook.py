"""Feeds in XLSX: the first sheet, its first row that holds something names the columns."""

import warnings
from collections.abc import Iterator
from typing import Any

import openpyxl

from adloom.catalog import RejectedRow
from adloom.errors import AdloomError, FeedError
from adloom.feed_rows import FeedRow, RowRefusedError
from adloom.field_mapping import Cell, FieldMapping
from catalog_connectors.feed.delimited import header_columns
from catalog_connectors.feed.errors import FeedDamagedError
from catalog_connectors.feed.unpacking import Content
from catalog_connectors.values import cells_of, id_of

MAX_ROWS = 1_048_576
"""The rows of a sheet in XLSX; blank ones among them cost next to nothing."""


def workbook_rows(content: Content, mapping: FieldMapping) -> Iterator[FeedRow | RejectedRow]:
    """The rows of a workbook's first sheet, by their number. Raises FeedError, FeedDamagedError.

    Sizes were checked before (a workbook is a ZIP archive); openpyxl parses with defusedxml.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of styles and validations that it drops
            yield from _rows(content, mapping)
    except AdloomError:
        raise
    except Exception as error:  # openpyxl promises no errors of its own for broken workbooks
        first = _first_of(error)
        raise FeedDamagedError(
            f"the workbook cannot be read: {type(first).__name__}: {str(first)[:200]}",
            where=content.where,
            hint="save it again as XLSX, or as CSV",
        ) from error


def _first_of(error: BaseException) -> BaseException:
    """What was wrong at first: openpyxl wraps it in an error that says little."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error


def _rows(content: Content, mapping: FieldMapping) -> Iterator[FeedRow | RejectedRow]:
    book = openpyxl.load_workbook(content.file, read_only=True, data_only=True)
    try:
        if not book.worksheets:
            raise FeedError("the workbook has no sheet", where=content.where)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some exporters write a wrong one, and rows would be left out
        columns: list[str] | None = None
        for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
            if number > MAX_ROWS:  # openpyxl makes up every row that a number skips
                raise FeedError(
                    f"the workbook has a row beyond {MAX_ROWS}, the last of a sheet",
                    where=content.where,
                    hint="save it again as XLSX, or as CSV",
                )
            if all(value is None or value == "" for value in values):
                continue
            if columns is None:
                names = ["" if v is None else str(v) for v in values]
                columns = header_columns(names, content.where, mapping)
                mapping = mapping.narrowed(columns)
            else:
                yield _row(number, columns, values, mapping)
        if columns is None:
            raise FeedError(
                "the feed is empty", where=content.where, hint="its first row names the columns"
            )
    finally:
        book.close()


def _row(
    number: int, columns: list[str], values: tuple[Any, ...], mapping: FieldMapping
) -> FeedRow | RejectedRow:
    wanted = mapping.columns
    cells: dict[str, Cell] = {}
    try:
        for name, value in zip(columns, values, strict=False):
            if value is None or name not in wanted:
                continue
            for column, cell in cells_of([(name, value)]).items():
                before = cells.get(column)
                cells[column] = cell if before is None else f"{before},{cell}"
    except RowRefusedError as error:
        found = id_of(zip(columns, values, strict=False), mapping)
        return RejectedRow(number, found, error.reason, error.message)
    return FeedRow(number, cells)
