"""Postgres' clock, by which every lease is timed, against this machine's."""

import time
from collections.abc import Callable

from sqlalchemy import text

from db.engine import Transaction

_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")


def skew_s(tx: Transaction, *, tries: int = 3, clock: Callable[[], float] = time.time) -> float:
    """This machine's clock less Postgres', in seconds, of the quickest of some answers.

    Off by at most half of what that answer took.
    """
    quickest, skew = float("inf"), 0.0
    for _ in range(tries):
        asked = clock()
        there = float(tx.execute(_NOW).scalar_one())
        took = clock() - asked
        if took < quickest:
            quickest, skew = took, asked + took / 2 - there
    return skew
