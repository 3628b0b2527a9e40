"""Runs as JSON, and the stream of those that change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from adloom.catalog import Price
from adloom.errors import AdloomError, SignInNeededError
from adloom.run_figures import RunRow
from adloom.states import RunState
from dashboard.access import Viewer
from dashboard.access.requiring import identified
from dashboard.database import Reading, TheDashboard, Workspace
from dashboard.parameters import After, IdPath, Limit, Search
from dashboard.run_watch import RunWatch, events, watch_of
from db.queries.dashboard import runs


@asynccontextmanager
async def _watching(app: FastAPI) -> AsyncIterator[None]:
    """One watch for the server's life."""
    given = app.state.dashboard
    watch = RunWatch(given.environment, per_hour=given.gpu_hour_price)
    app.state.run_watch = watch
    watch.start()
    try:
        yield
    finally:
        await asyncio.to_thread(watch.stop)


router = APIRouter(lifespan=_watching, tags=["runs"])


class Money(BaseModel):
    amount: str
    currency: str


class RunOut(BaseModel):
    """A run; what is measured is as of `measured_at`, None while nothing was."""

    run: int
    campaign: str
    state: RunState
    trigger: str
    paused: bool
    planned_slots: int
    started_at: datetime
    ended_at: datetime | None
    error: str | None
    measured_at: datetime | None
    outcomes: dict[str, int]
    new: int | None
    reused: int | None
    rendered: int | None
    render_seconds: float | None
    approved_share: float | None
    images_per_second: float | None
    busy_share: float | None
    seconds_left: float | None
    cost: Money | None


class RunsOut(BaseModel):
    """`next`: give it as `before` for the next page; None on the last one."""

    runs: list[RunOut]
    next: int | None


@router.get("/runs")
def list_runs(
    tx: Reading,
    ws: Workspace,
    dashboard: TheDashboard,
    _person: Viewer,
    before: After = None,
    campaign: Search = None,
    state: Annotated[list[RunState] | None, Query(max_length=10)] = None,
    limit: Limit = 50,
) -> RunsOut:
    """Runs, newest first."""
    found = runs.page(
        tx, ws, before=before, campaign=campaign or None, states=tuple(state or ()), limit=limit + 1
    )
    more = len(found) > limit
    shown = found[:limit]
    return RunsOut(
        runs=[run_out(row, dashboard.gpu_hour_price) for row in shown],
        next=shown[-1].id if more else None,
    )


@router.get("/runs/live", include_in_schema=False)
def live_runs(request: Request, _person: Viewer) -> StreamingResponse:
    """The runs that changed, as events."""
    return _stream(request, None)


@router.get("/runs/{run}")
def one_run(
    tx: Reading, ws: Workspace, dashboard: TheDashboard, _person: Viewer, run: IdPath
) -> RunOut:
    """One run."""
    return run_out(runs.row(tx, ws, run), dashboard.gpu_hour_price)


@router.get("/runs/{run}/live", include_in_schema=False)
def live_run(request: Request, _person: Viewer, run: IdPath) -> StreamingResponse:
    """One run, whenever it has changed, as events."""
    watch_of(request).ask(run)
    return _stream(request, run)


def _stream(request: Request, run: int | None) -> StreamingResponse:
    def ended() -> str | None:
        try:
            identified(request)
        except SignInNeededError:
            return "signed out"
        except AdloomError:
            return None  # the watch says what is amiss
        return None

    return StreamingResponse(
        events(watch_of(request), request.is_disconnected, ended, run_id=run),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def run_out(row: RunRow, per_hour: Price | None) -> RunOut:
    figures = row.figures
    cost = figures.cost(per_hour) if figures is not None else None
    return RunOut(
        run=row.id,
        campaign=row.campaign,
        state=row.state,
        trigger=row.trigger.value,
        paused=row.paused_at is not None,
        planned_slots=row.planned_slots,
        started_at=row.created_at,
        ended_at=row.ended_at,
        error=f"{row.error_class}: {row.error_message}" if row.error_class else None,
        measured_at=figures.measured_at if figures else None,
        outcomes={o.value: n for o, n in figures.outcomes.items()} if figures else {},
        new=figures.new if figures else None,
        reused=figures.reused if figures else None,
        rendered=figures.rendered if figures else None,
        render_seconds=figures.render_s if figures else None,
        approved_share=figures.approved_share if figures else None,
        images_per_second=figures.images_per_s if figures else None,
        busy_share=figures.busy_share if figures else None,
        seconds_left=figures.seconds_left if figures else None,
        cost=Money(amount=str(cost.amount), currency=cost.currency) if cost else None,
    )
