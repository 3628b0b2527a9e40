"""A catalogue in a database: a table or a query, read as a stream by a server-side cursor.

The one place outside of `db` that imports SQLAlchemy: what is read here is somebody else's
database, of any kind, and nothing of adloom's own schema.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, column, create_engine, exc, or_, select, table, text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.sql import Executable

from adloom.catalog import Delivery, Ending, ProductRecord, RejectedRow
from adloom.errors import (
    AdloomError,
    ConfigurationError,
    FeedError,
    FeedTruncatedError,
    UnavailableError,
    first_line,
)
from adloom.feed_rows import FeedRow, RowRefusedError, product_record
from adloom.field_mapping import column_name
from catalog_connectors.feed.delimited import header_columns
from catalog_connectors.feed.locations import addressed_photo
from catalog_connectors.references import Referenced
from catalog_connectors.sql_options import SqlOptions
from catalog_connectors.values import cells_of, id_of
from catalog_connectors.watermarks import Watermark

FETCH_ROWS = 1000
CONNECT_TIMEOUT_S = 10
_BUSY = re.compile(r"locked|busy|unable to open|disk i/o", re.IGNORECASE)


class SqlUnavailableError(FeedError, UnavailableError):
    """The catalogue's database does not answer."""

    retryable = True
    exit_code = UnavailableError.exit_code


class SqlSource:
    """A table or query of a database; a `CatalogSource`.

    `location` is any SQLAlchemy URL whose secrets are references (`${NAME}`, `${file:/path}`); the
    driver must be installed. The session is read-only where the database knows that.
    """

    def __init__(
        self,
        location: str,
        *,
        options: SqlOptions,
        cursor: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._location = Referenced(location, environ)
        self._location.refuse_secrets()
        if not location.startswith("${"):
            _parsed(self._location.without_references())
        self._where = _shown(self._location)
        self._options = options
        self._since = Watermark.from_cursor(cursor or {}, options.watermark)
        self._ending = Ending(certain=False)

    @property
    def delivery(self) -> Delivery:
        return self._options.delivery

    @property
    def ending(self) -> Ending:
        return self._ending

    def records(self) -> Iterator[ProductRecord | RejectedRow]:
        """Products and rejected rows as the database gives them.

        Raises SqlUnavailableError, FeedTruncatedError for a connection that breaks (both
        retryable), FeedError for a query that cannot be run, ConfigurationError for a driver or a
        secret that is missing.
        """
        self._ending = Ending(certain=False)
        engine, count = self._engine(), 0
        try:
            with engine.connect() as connection:
                for record in self._read(connection):
                    count += 1
                    yield record
        except exc.SQLAlchemyError as error:
            raise self._translated(error, engine.dialect.name, count) from None
        finally:
            engine.dispose()

    def _read(self, connection: Connection) -> Iterator[ProductRecord | RejectedRow]:
        connection = _read_only(connection).execution_options(
            stream_results=True, yield_per=FETCH_ROWS
        )
        result = connection.execute(self._statement(), self._parameters(connection.dialect.name))
        columns = header_columns(list(result.keys()), self._where, self._options.mapping)
        mark = self._mark_index(columns)
        highest = self._since
        for number, row in enumerate(result, start=1):
            if mark is not None:
                highest = Watermark.later(highest, row[mark], self._where)
            yield self._record(number, columns, row)
        cursor = highest.cursor(self._options.watermark or "") if highest else {}
        self._ending = Ending(cursor=cursor)

    def _statement(self) -> Executable:
        options = self._options
        if options.query is not None:
            query = re.sub(r"(?<!:):(?=\w)", r"\\:", options.query)  # no parameters in there
            if self._since is None:
                return text(query)
            whole = select(text("*")).select_from(text(f"({query}\n) AS catalogue_rows"))
        else:
            schema, _, name = (options.table or "").rpartition(".")
            whole = select(text("*")).select_from(table(name, schema=schema or None))
        if self._since is None:
            return whole
        mark = column(options.watermark or "")
        # A row without a mark cannot be told from a new one, so it is read each time.
        return whole.where(or_(mark >= text(":since"), mark.is_(None)))

    def _parameters(self, backend: str) -> dict[str, Any]:
        if self._since is None:
            return {}
        since: Any = self._since.less(self._options.overlap)
        if isinstance(since, Decimal) and backend == "sqlite":  # which knows no decimals
            since = int(since) if since == since.to_integral_value() else float(since)
        return {"since": since}

    def _mark_index(self, columns: Sequence[str]) -> int | None:
        if self._options.watermark is None:
            return None
        name = column_name(self._options.watermark)
        if name not in columns:
            raise FeedError(
                f"there is no watermark column '{self._options.watermark}'",
                where=self._where,
                hint=f"the rows have: {', '.join(columns)[:200]}",
            )
        return columns.index(name)

    def _record(
        self, number: int, columns: Sequence[str], row: Sequence[Any]
    ) -> ProductRecord | RejectedRow:
        mapping = self._options.mapping
        wanted = mapping.columns
        values = [(c, v) for c, v in zip(columns, row, strict=True) if c in wanted]
        try:
            cells = cells_of(values)
        except RowRefusedError as error:
            return RejectedRow(number, id_of(values, mapping), error.reason, error.message)
        return product_record(FeedRow(number, cells), mapping, addressed_photo)

    def _engine(self) -> Engine:
        url = _parsed(self._location.resolved())
        arguments: dict[str, Any] = {}
        backend = url.get_backend_name()
        if backend == "sqlite":
            _require_file(url, self._where)
        elif backend in ("postgresql", "mysql", "mariadb"):
            arguments["connect_timeout"] = CONNECT_TIMEOUT_S
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        try:
            return create_engine(url, poolclass=NullPool, connect_args=arguments)
        except (exc.NoSuchModuleError, ImportError) as error:
            raise ConfigurationError(
                f"there is no driver for '{url.drivername}'",
                where=self._where,
                hint="install the SQLAlchemy dialect and its driver into adloom's environment",
            ) from error
        except (exc.ArgumentError, TypeError, ValueError) as error:
            raise FeedError(
                self._location.concealed(f"the database's address cannot be used: {error}")
            ) from None

    def _translated(self, error: exc.SQLAlchemyError, backend: str, count: int) -> AdloomError:
        """Without the statement's parameters, and without any secret that a driver repeats."""
        origin = getattr(error, "orig", None) or error
        said = self._location.concealed(first_line(origin)[:500])
        lost = isinstance(error, exc.OperationalError | exc.InterfaceError)
        if backend == "sqlite" and not _BUSY.search(said):
            lost = False
        if lost and count:
            return FeedTruncatedError(
                f"the database broke off after {count} rows: {said}",
                where=self._where,
                hint="nothing was taken as missing; sync again",
            )
        if lost:
            return SqlUnavailableError(said, where=self._where, hint="try again later")
        return FeedError(
            f"the rows cannot be read: {said}",
            where=self._where,
            hint="check the source's table, query and watermark",
        )


def _parsed(location: str) -> URL:
    try:
        return make_url(location)
    except (exc.ArgumentError, ValueError) as error:
        raise FeedError(
            "the database's address cannot be read",
            hint="it has the form dialect://user:${PASSWORD}@host/database",
        ) from error


def _shown(location: Referenced) -> str:
    """The address as it may be told: without user, password and query."""
    if location.text.startswith("${"):
        return location.text
    url = _parsed(location.without_references())
    return f"{url.drivername}://{url.host or ''}/{url.database or ''}"


def _require_file(url: URL, where: str) -> None:
    """SQLite makes a database of any path that is none; a catalogue is one already."""
    path = Path(url.database or "")
    if not path.is_absolute() or not path.is_file():
        raise FeedError(
            "there is no such SQLite file",
            where=where,
            hint="give an absolute path: sqlite:////folder/shop.db",
        )


def _read_only(connection: Connection) -> Connection:
    match connection.dialect.name:
        case "postgresql":
            return connection.execution_options(postgresql_readonly=True)
        case "sqlite":
            raw = connection.connection.dbapi_connection
            if isinstance(raw, sqlite3.Connection):  # a damaged text costs its row alone
                raw.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            connection.exec_driver_sql("PRAGMA query_only = ON")
        case "mysql" | "mariadb":
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        case _:
            pass
    return connection
