"""The audit log: every act, by whom, from where, on what, with what effect."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from adloom.records import Person
from dashboard.context import dashboard_of
from db.queries import audit as queries
from tasks.users import Actor


def audit(
    request: Request,
    person: Person,
    *,
    act: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Records an act that has been done.

    `act` is `subject.verb` (`run.retry`, `creative.approve`), `subject` names what it was done to
    (`run 12`), `details` its effect. Raises DatabaseUnavailableError.
    """
    env = dashboard_of(request).environment
    with env.database.transaction() as tx:
        queries.add(
            tx, env.workspace_id, account=person.name, address=client_address(request), act=act,
            subject=subject, details=details or {},
        )  # fmt: skip


def acting(request: Request, person: Person) -> Actor:
    """Who does this and from where, for functions that keep the log themselves."""
    return Actor(person.name, client_address(request))


def client_address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""
