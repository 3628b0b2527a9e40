"""Feeds in Parquet: row groups in turn, of the columns that the mapping asks for."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from adloom.catalog import RejectedRow
from adloom.errors import FeedError, first_line
from adloom.feed_rows import FeedRow, RowRefusedError
from adloom.field_mapping import FieldMapping, column_name
from catalog_connectors.feed.delimited import header_columns
from catalog_connectors.feed.errors import FeedDamagedError
from catalog_connectors.feed.unpacking import Content
from catalog_connectors.values import cells_of, id_of

BATCH_ROWS = 256
MAX_GROUP_BYTES = 2 << 30


def parquet_rows(content: Content, mapping: FieldMapping) -> Iterator[FeedRow | RejectedRow]:
    """The rows of a Parquet file, numbered from 1. Raises FeedError, FeedDamagedError."""
    try:
        file = pq.ParquetFile(content.file)
        wanted = _wanted(file, content.where, mapping)
        number = 0
        for batch in file.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False):
            for record in batch.to_pylist():
                number += 1
                try:
                    yield FeedRow(number, cells_of(record.items()))
                except RowRefusedError as error:
                    found = id_of(record.items(), mapping)
                    yield RejectedRow(number, found, error.reason, error.message)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise FeedDamagedError(
            f"the Parquet file cannot be read: {first_line(error)[:200]}",
            where=content.where,
            hint="write it again",
        ) from error


def _wanted(file: pq.ParquetFile, where: str, mapping: FieldMapping) -> list[str]:
    for group in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(group).total_byte_size
        if size > MAX_GROUP_BYTES:
            raise FeedError(
                f"row group {group} holds {size} bytes of {MAX_GROUP_BYTES} at most",
                where=where,
                hint="write smaller row groups",
            )
    names = file.schema_arrow.names
    header_columns(names, where, mapping)
    tops = {c.partition(".")[0] for c in mapping.columns} | set(mapping.columns)
    return [name for name in names if column_name(name) in tops]
