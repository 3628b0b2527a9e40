"""The review pages: one by one, and as a grid. What they do goes through the API."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from dashboard.access import Viewer
from dashboard.api.review import COUNTED, Filters
from dashboard.database import Env, TheDashboard
from dashboard.templating import page
from tasks import reviewing

router = APIRouter()
Asked = Annotated[Filters, Query()]


@router.get("/review")
def one_by_one(
    request: Request, person: Viewer, env: Env, dashboard: TheDashboard, filters: Asked
) -> HTMLResponse:
    del person
    return _page(request, "review.html", env, dashboard, filters)


@router.get("/review/grid")
def grid(
    request: Request, person: Viewer, env: Env, dashboard: TheDashboard, filters: Asked
) -> HTMLResponse:
    del person
    return _page(request, "review_grid.html", env, dashboard, filters)


def _page(
    request: Request, template: str, env: Env, dashboard: TheDashboard, filters: Filters
) -> HTMLResponse:
    given = filters.model_dump(exclude_none=True)
    return page(
        request,
        template,
        is_grid=template == "review_grid.html",
        filters=given,
        query=f"?{urlencode(given)}" if given else "",
        choices=reviewing.choices(env),
        waiting=reviewing.waiting(env, filters.chosen(), at_most=COUNTED),
        counted=COUNTED,
        reasons=dashboard.review_reasons,
    )
