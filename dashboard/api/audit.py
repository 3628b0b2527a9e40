"""The audit log, for admins."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from dashboard.access import Admin
from dashboard.database import Reading, Workspace
from dashboard.parameters import After, Limit, Text
from db.queries import audit as queries

router = APIRouter(tags=["access"])


class Entry(BaseModel):
    id: int
    at: datetime
    account: str
    address: str
    act: str
    subject: str
    details: dict[str, Any]


class Entries(BaseModel):
    """`after`: give it to get the next ones; null at the end."""

    entries: list[Entry]
    after: int | None


@router.get("/audit")
def audit_log(
    person: Admin,
    tx: Reading,
    ws: Workspace,
    account: Annotated[Text | None, Query(max_length=100)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Entries:
    """Who did what, latest first."""
    del person
    found = queries.page(tx, ws, account=account, before=after, limit=limit)
    entries = [
        Entry(
            id=e.id, at=e.at, account=e.account, address=e.address, act=e.act, subject=e.subject,
            details=dict(e.details),
        )
        for e in found
    ]  # fmt: skip
    return Entries(entries=entries, after=found[-1].id if len(found) == limit else None)
