"""The connection to Postgres, and the one place that opens transactions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import create_engine, event, exc, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session, sessionmaker

from adloom.errors import ConfigurationError
from db.errors import translated

Transaction = Session
"""What every query takes first: an open transaction. Opaque outside of `db`."""

OLDEST_SERVER = 14
_GIVEN_UP: Mapping[str, int] = {
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,  # ms
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""When a connection counts as lost. By itself Linux waits a quarter of an hour for a machine that
is gone, and so would heartbeats, which are to be tried again on another connection."""
_TIMEOUT = text("SELECT set_config('statement_timeout', :timeout, true)")


class Database:
    """A pool of connections to one Postgres database.

    `url` is any `postgresql://` URL, also with a socket folder as `?host=`. Raises
    ConfigurationError when it is none. What it says of timeouts and keepalives counts.
    """

    def __init__(self, url: str, *, application_name: str = "adloom", pool_size: int = 5) -> None:
        parsed = normalised(url)
        self.location = location_of(parsed)
        self._engine = create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=30,
            pool_pre_ping=True,
            connect_args={
                **{k: v for k, v in _GIVEN_UP.items() if k not in parsed.query},
                "application_name": application_name,
            },
        )
        event.listen(self._engine, "connect", _set_up)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False, autoflush=False)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: committed at the block's end, rolled back if an error leaves it.

        Raises DatabaseUnavailableError (retryable), ConflictError when a constraint refuses,
        SchemaMismatchError when tables are missing.
        """
        try:
            with self._sessions.begin() as session:
                yield session
        except exc.SQLAlchemyError as error:
            raise translated(error, where=self.location) from error

    @contextmanager
    def reading(self, timeout_s: float) -> Iterator[Transaction]:
        """A transaction that writes nothing, and whose statements take at most `timeout_s` each.

        Raises what `transaction` raises; a statement beyond its time is a DatabaseUnavailableError.
        """
        with self.transaction() as tx:
            tx.execute(text("SET TRANSACTION READ ONLY"))
            tx.execute(_TIMEOUT, {"timeout": f"{int(timeout_s * 1000)}ms"})
            yield tx

    def check(self) -> None:
        """Raises DatabaseUnavailableError if nothing answers, ConfigurationError if too old."""
        with self.transaction() as tx:
            version = int(tx.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
        if version < OLDEST_SERVER:
            raise ConfigurationError(
                f"Postgres {version} is too old",
                where=self.location,
                hint=f"version {OLDEST_SERVER} or newer is needed",
            )

    def dispose(self) -> None:
        """Closes all connections."""
        self._engine.dispose()


@contextmanager
def joined_whole(tx: Transaction) -> Iterator[None]:
    """For statements that join all of a sync's or a run's new rows: they are hashed or sorted.

    Rows that came since the tables were last analysed are unknown to the planner: it expects one,
    and loops over 100,000 of them for each of 100,000 others.
    """
    tx.execute(text("SET LOCAL enable_nestloop = off"))
    yield  # after an error the transaction is rolled back, and the setting with it
    tx.execute(text("SET LOCAL enable_nestloop = on"))


def normalised(url: str) -> URL:
    """`url` for SQLAlchemy with psycopg 3. Raises ConfigurationError if it is no Postgres URL."""
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "the database URL cannot be read",
            hint="it has the form postgresql://user:password@host:5432/database",
        ) from error
    if parsed.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"the database URL names '{parsed.drivername}'",
            hint="adloom needs Postgres: postgresql://user:password@host:5432/database",
        )
    return parsed.set(drivername="postgresql+psycopg")


def location_of(url: URL) -> str:
    """The address without credentials, for messages."""
    host = url.host or str(url.query.get("host", "localhost"))
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{url.database or ''}"


def _set_up(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("SET TIME ZONE 'UTC'")
    cursor.execute("SET jit = off")
    # A process that was stopped within a transaction holds its locks no longer than this.
    cursor.execute("SET idle_in_transaction_session_timeout = '300s'")
    cursor.close()
    connection.commit()
