"""An embedded Postgres of a benchmark's own, and the environment that tasks work on."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil

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


@dataclass(frozen=True, slots=True)
class Usage:
    """What a block took: wall clock, processor time of this process and of Postgres, and this
    process's peak memory so far."""

    seconds: float
    cpu_s: float
    postgres_cpu_s: float
    peak_mb: int


@contextmanager
def measured(url: str) -> Iterator[list[Usage]]:
    """Appends what the block took. On a busy machine processor times say more than the clock."""
    found: list[Usage] = []
    before, cpu, started = _postgres_cpu_s(url), time.process_time(), time.perf_counter()
    yield found
    peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    found.append(
        Usage(
            round(time.perf_counter() - started, 1),
            round(time.process_time() - cpu, 1),
            round(_postgres_cpu_s(url) - before, 1),
            peak_mb,
        )
    )


def _postgres_cpu_s(url: str) -> float:
    """Processor time of the server behind `url` and its processes, ended ones included."""
    folder = parse_qs(urlsplit(url).query)["host"][0]
    pid = int((Path(folder).parent / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    server = psutil.Process(pid)
    times = [p.cpu_times() for p in (server, *server.children())]
    ended = times[0].children_user + times[0].children_system
    return ended + sum(t.user + t.system for t in times)


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
