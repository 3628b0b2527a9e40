"""The database's tests: each in a workspace of its own."""

import uuid

import pytest

from db.engine import Database
from tests.db.world import World
from tests.db_fixtures import (
    database,
    empty_postgres_url,
    postgres_server,
    postgres_url,
    shared_database,
)

__all__ = [
    "database",
    "empty_postgres_url",
    "postgres_server",
    "postgres_url",
    "shared_database",
    "world",
]


@pytest.fixture
def world(shared_database: Database) -> World:
    """A workspace with a source, scenes, and three products that can be planned."""
    made = World.open(shared_database, f"w-{uuid.uuid4().hex[:12]}")
    made.add_products(3)
    return made
