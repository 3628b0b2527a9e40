"""Migrations by function call: no ini file, one at a time, all or nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, exc, text

from adloom.errors import SchemaMismatchError
from db.engine import location_of, normalised
from db.errors import translated

_FOLDER = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x61646C6F6F6D  # 'adloom'
_LOCK_TIMEOUT = "60s"


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the schema up to `revision`; several callers at once wait for one another.

    Raises DatabaseUnavailableError, also when the lock is not to be had within a minute.
    """
    _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Takes the schema down to `revision` (`base` for none), dropping what came after with it."""
    _migrate(url, lambda config: command.downgrade(config, revision))


def current(url: str) -> str | None:
    """The database's revision, None for a database without the schema."""
    with _connection(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this version of adloom needs."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None, "the package holds no migrations"
    return newest


def check(url: str) -> None:
    """Raises SchemaMismatchError unless the database is at `head()`."""
    found, needed = current(url), head()
    if found == needed:
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    where = location_of(normalised(url))
    if found is not None and found not in known:
        raise SchemaMismatchError(
            f"the schema is at revision '{found}', which this version of adloom does not know",
            where=where,
            hint="use the newer version of adloom that migrated it",
        )
    raise SchemaMismatchError(
        f"the schema is at revision '{found or 'none'}', needed is '{needed}'",
        where=where,
        hint="run `adloom up` to migrate it",
    )


def _migrate(url: str, action: Callable[[Config], None]) -> None:
    with _connection(url) as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        config = _config()
        config.attributes["connection"] = connection
        action(config)


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    parsed = normalised(url)
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            yield connection
    except exc.SQLAlchemyError as error:
        raise translated(error, where=location_of(parsed)) from error
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
