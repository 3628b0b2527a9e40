"""The list of runs."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from adloom.states import RunState
from dashboard.access import Viewer
from dashboard.database import Reading, TheDashboard, Workspace
from dashboard.parameters import After, Search
from dashboard.run_view import run_view
from dashboard.templating import page
from db.queries import campaigns
from db.queries.dashboard import runs

router = APIRouter()
ROWS = 50


@router.get("/runs")
def list_runs(
    request: Request,
    tx: Reading,
    ws: Workspace,
    dashboard: TheDashboard,
    _person: Viewer,
    before: After = None,
    campaign: Search = None,
    state: Search = None,
) -> HTMLResponse:
    """Runs, newest first; those under way change while one looks."""
    states = (RunState(state),) if state in set(RunState) else ()
    found = runs.page(
        tx, ws, before=before, campaign=campaign or None, states=states, limit=ROWS + 1
    )
    rows = found[:ROWS]
    kept = {"campaign": campaign or "", "state": states[0].value if states else ""}
    more = f"/runs?{urlencode({**kept, 'before': rows[-1].id})}" if len(found) > ROWS else None
    return page(
        request,
        "runs.html",
        rows=[(row, run_view(row, dashboard.gpu_hour_price)) for row in rows],
        campaigns=campaigns.slugs(tx, ws),
        states=[s.value for s in RunState],
        chosen=kept,
        next=more,
        is_first=before is None,
        has_price=dashboard.gpu_hour_price is not None,
    )
