"""The driver's errors, translated in one place to the family of adloom."""

from sqlalchemy import exc

from adloom.errors import (
    AdloomError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidInputError,
    SchemaMismatchError,
)


class TransactionAbortedError(DatabaseUnavailableError):
    """The database broke off the transaction in favour of another; try again."""


_ABORTED = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "57014",  # query_canceled (statement timeout)
}
_SCHEMA = {"42P01", "42703", "42704", "42883"}  # undefined table, column, object, function


def translated(error: exc.SQLAlchemyError, *, where: str) -> AdloomError:
    """The adloom error that says what `error` means; `where` is the URL without its password.

    Statements and their parameters stay out of the message: only the driver's own words are kept.
    """
    if not isinstance(error, exc.DBAPIError):
        if isinstance(error, exc.TimeoutError):
            return DatabaseUnavailableError(
                "all connections of the pool are in use", where=where, hint="try again later"
            )
        return AdloomError(f"{type(error).__name__}: {error}", where=where)
    state = str(getattr(error.orig, "sqlstate", None) or "")
    text = _first_line(error)
    if state in _SCHEMA:
        return SchemaMismatchError(text, where=where, hint="run `adloom up` to migrate it")
    if state in _ABORTED:
        return TransactionAbortedError(text, where=where)
    if isinstance(error, exc.IntegrityError):
        return ConflictError(text, where=where)
    if isinstance(error, exc.DataError):
        return InvalidInputError(text, where=where)
    if isinstance(error, exc.OperationalError | exc.InterfaceError) or error.connection_invalidated:
        return DatabaseUnavailableError(
            text, where=where, hint="is it running, and is its address right?"
        )
    return AdloomError(text, where=where)


def _first_line(error: exc.DBAPIError) -> str:
    lines = str(error.orig or type(error).__name__).strip().splitlines()
    detail = [line for line in lines[1:] if line.startswith("DETAIL:")]
    return " ".join([*lines[:1], *detail]) or type(error).__name__
