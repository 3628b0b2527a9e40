"""Keeping the figures of runs up to date, beside the pages that show them."""

from collections.abc import Iterable

from db.errors import TransactionAbortedError
from db.queries import figures
from tasks.environment import Environment

EVERY_S = 1.0


def measure(env: Environment, run_id: int) -> bool:
    """Measures a run now; False if there is no such run, or another process is just doing it."""
    try:
        with env.database.transaction() as tx:
            return figures.measure(tx, run_id) is not None
    except TransactionAbortedError:
        return False


def keep_up(env: Environment, asked: Iterable[int] = (), *, limit: int = 20) -> tuple[int, ...]:
    """Measures the runs that were asked for, then those whose figures are out of date, at most
    `limit` of these; returns which. Each is committed by itself."""
    with env.database.transaction() as tx:
        stale = figures.stale(tx, env.workspace_id, every_s=EVERY_S, limit=limit)
    wanted = tuple(dict.fromkeys((*asked, *stale)))
    return tuple(run_id for run_id in wanted if measure(env, run_id))
