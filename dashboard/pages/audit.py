"""The audit log, for admins."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dashboard.access import Admin
from dashboard.database import Reading, Workspace
from dashboard.parameters import After, Text
from dashboard.templating import page
from db.queries import audit as queries

router = APIRouter()
_ROWS = 100


@router.get("/audit")
def audit_log(
    request: Request,
    person: Admin,
    tx: Reading,
    ws: Workspace,
    account: Annotated[Text, Query(max_length=100)] = "",
    after: After = None,
) -> Response:
    del person
    found = queries.page(tx, ws, account=account or None, before=after, limit=_ROWS)
    chosen = {"account": account} if account else {}
    following = {**chosen, "after": found[-1].id} if len(found) == _ROWS else None
    return page(
        request, "audit.html", entries=found, account=account,
        next=f"/audit?{urlencode(following)}" if following else None,
        first=f"/audit?{urlencode(chosen)}" if after else None,
    )  # fmt: skip
