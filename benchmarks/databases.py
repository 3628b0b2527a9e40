"""An embedded Postgres of a benchmark's own, and the environment that tasks work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db import migrate
from db.engine import Database
from db.queries import workspaces
from services.databases import create_if_missing
from services.postgres import EmbeddedPostgres
from storage.local import LocalStore
from tasks.environment import Environment, Rendering

WEIGHTS = Path(__file__).parents[1] / "weights"


@contextmanager
def scratch_database(folder: Path) -> Iterator[str]:
    """The URL of a migrated, empty database, served as `adloom up` would for as long as the block.

    `folder` must be one that other users may enter: Postgres runs as a user of its own.
    """
    server = EmbeddedPostgres(folder / "postgres", folder / "postgres.log")
    server.start()
    try:
        url = server.url("bench")
        create_if_missing(server.url("postgres"), "bench")
        migrate.upgrade(url)
        yield url
    finally:
        server.stop()


@contextmanager
def open_bench(url: str) -> Iterator[Environment]:
    """The environment of the benchmark's workspace."""
    database = Database(url)
    try:
        with database.transaction() as tx:
            ws = workspaces.ensure(tx, "bench")
        yield Environment(
            database=database,
            store=LocalStore(Path("objects")),  # nothing is put
            workspace="bench",
            workspace_id=ws,
            rendering=Rendering(WEIGHTS),
            owner="benchmark",
        )
    finally:
        database.dispose()
