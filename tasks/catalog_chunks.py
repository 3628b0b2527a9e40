"""Chunks of a catalogue's rows, stored in order while the next ones are read."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from adloom.catalog import ProductRecord, RejectedRow
from adloom.records import UpsertCounts
from db.queries import syncs
from db.queries.product_upserts import stage_chunk
from tasks.behind import behind
from tasks.environment import Environment

WRITERS = 2
"""One writes a chunk's products, in the order of the rows; the other copies the next chunk."""

Stored = tuple[UpsertCounts, list[RejectedRow]]


def stored(
    writer: "ChunkWriter", read: Iterator[list[ProductRecord | RejectedRow]]
) -> Iterator[Stored]:
    """Stores chunk after chunk; Postgres takes one in, and is sent another, while the next is read.

    An error of reading is raised after what was read before it is stored.
    """
    return behind(writer.store, read, at_once=WRITERS, name="store-chunk")


@dataclass(slots=True)
class ChunkWriter:
    """Stores a sync's chunks. `forgets_cursor`: the cursor says which content the products are of
    (a feed's validators, not a watermark), which is no longer so from the first chunk on."""

    env: Environment
    sync_id: int
    forgets_cursor: bool

    def store(
        self, chunk: Sequence[ProductRecord | RejectedRow], before: Future[Stored] | None
    ) -> Stored:
        """Stores a chunk in a transaction of its own, after the chunk `before` it: of rows with the
        same id the first one counts. What it did, and the rows it refused."""
        records = [r for r in chunk if isinstance(r, ProductRecord)]
        rejected = [r for r in chunk if isinstance(r, RejectedRow)]
        with self.env.database.transaction() as tx:
            staged = stage_chunk(tx, records) if records else None
            if before is not None:
                before.result()  # where it failed, this one is not stored either
            if self.forgets_cursor:
                syncs.keep_cursor(tx, self.sync_id, {})
            done = syncs.upsert_products(tx, self.sync_id, staged) if staged else UpsertCounts()
            rejected = sorted([*rejected, *done.repeated], key=lambda r: r.line)
            syncs.record_rejections(tx, self.sync_id, rejected)
        self.forgets_cursor = False
        return done, rejected
