"""What routes take to read: a transaction that can change nothing, with a time limit."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request

from dashboard.context import Dashboard, dashboard_of
from db.engine import Transaction
from tasks.environment import Environment

READ_TIMEOUT_S = 10.0


def dashboard(request: Request) -> Dashboard:
    return dashboard_of(request)


def environment(request: Request) -> Environment:
    """What the functions of `tasks` take first."""
    return dashboard_of(request).environment


def workspace(request: Request) -> int:
    """The id that queries take as `ws`."""
    return dashboard_of(request).environment.workspace_id


def reading(request: Request) -> Iterator[Transaction]:
    """A read-only transaction of at most `READ_TIMEOUT_S` a statement.

    Raises DatabaseUnavailableError, which is answered with a page that tries again.
    """
    with dashboard_of(request).environment.database.reading(READ_TIMEOUT_S) as tx:
        yield tx


# Closed before the answer is sent: a slow reader holds no connection.
Reading = Annotated[Transaction, Depends(reading, scope="function")]
Workspace = Annotated[int, Depends(workspace)]
Env = Annotated[Environment, Depends(environment)]
TheDashboard = Annotated[Dashboard, Depends(dashboard)]
