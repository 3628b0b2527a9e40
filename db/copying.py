"""Bulk rows by COPY, within the open transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from sqlalchemy import exc, text

from db.engine import Transaction


def stage(
    tx: Transaction, table: str, columns: str, rows: Iterable[Sequence[Any]], *, fresh: bool = True
) -> None:
    """Copies rows into a temporary table of the transaction, which is gone with it.

    `columns` are SQL: names and types. A table of that name that the transaction has already is
    emptied first, or with `fresh` false added to.
    """
    tx.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS {table} ({columns}) ON COMMIT DROP"))
    if fresh:
        tx.execute(text(f"TRUNCATE pg_temp.{table}"))
    copy_into(tx, f"pg_temp.{table}", rows)


def copy_into(tx: Transaction, target: str, rows: Iterable[Sequence[Any]]) -> None:
    """Copies rows into `target`: a table, with the columns in brackets if not all in order."""
    connection = tx.connection()
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    statement = f"COPY {target} FROM STDIN"
    try:
        with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise exc.DBAPIError.instance(
            statement, None, error, psycopg.Error, dialect=connection.dialect
        ) from error
