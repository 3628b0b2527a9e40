"""The few things done to a Postgres before the application's own layer takes over."""

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg import sql

from adloom.errors import ConfigurationError, DatabaseUnavailableError

_CONNECT_S = 10
_ASYNCPG_OPTIONS = {"host": "host", "port": "port", "sslmode": "ssl"}


def answers(url: str) -> bool:
    """Whether the server lets us in right now."""
    try:
        with psycopg.connect(plain(url), connect_timeout=_CONNECT_S):
            return True
    except psycopg.Error:
        return False


def create_if_missing(url: str, database: str) -> None:
    """Creates `database` on the server of `url`.

    Raises DatabaseUnavailableError, or ConfigurationError when the user may not create one.
    """
    try:
        with psycopg.connect(plain(url), connect_timeout=_CONNECT_S, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if found.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    except psycopg.errors.DuplicateDatabase:
        return
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"the database user may not create the database {database!r} for Prefect",
            where=shown(url),
            hint="create it, or set ADLOOM_PREFECT_API_URL to a Prefect server of yours",
        ) from error
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "the database's address cannot be read",
            where="ADLOOM_DATABASE_URL",
            hint="write postgresql://user:password@host:5432/database; escape % as %25",
        ) from None  # the driver's error quotes the address with its password
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(
            f"the database does not answer: {str(error).strip().splitlines()[-1]}",
            where=shown(url),
            hint="check ADLOOM_DATABASE_URL",
        ) from None  # the driver's error may quote the address with its password


def plain(url: str) -> str:
    """The address as libpq wants it, without SQLAlchemy's driver name."""
    return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", url)


def database_of(url: str) -> str:
    """The database's name in an address."""
    return urlsplit(url).path.removeprefix("/") or "postgres"


def for_asyncpg(url: str, database: str) -> str:
    """The same server's address, another database, in the form that Prefect wants."""
    parts = urlsplit(url)
    query = {
        _ASYNCPG_OPTIONS[name]: value
        for name, value in parse_qsl(parts.query)
        if name in _ASYNCPG_OPTIONS
    }
    options = f"?{urlencode(query, safe='/')}" if query else ""
    return f"postgresql+asyncpg://{parts.netloc}/{quote(database)}{options}"


def shown(url: str) -> str:
    """The address without user, password and options, for people."""
    parts = urlsplit(url)
    host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "")
    port = f":{parts.port}" if parts.port else ""
    return f"postgresql://{host}{port}/{database_of(url)}"
