"""Campaigns: listed, written, planned, run."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from adloom.campaign_yaml import campaign_yaml
from adloom.errors import Problem, SpecError
from dashboard import campaign_acts as acts
from dashboard.access import Operator, Viewer
from dashboard.api.campaigns import LONGEST_TEXT
from dashboard.commands import Starter
from dashboard.database import Env, Reading, TheDashboard, Workspace
from dashboard.notices import run_notice
from dashboard.parameters import Search, SlugPath, Text
from dashboard.run_view import run_view
from dashboard.templating import page
from db.queries import campaigns, scenes
from db.queries.dashboard import campaigns as listed
from db.queries.dashboard import runs

router = APIRouter()
ROWS, RUNS = 50, 10
EXAMPLE = """\
campaign: my-campaign
title: My campaign
selection: {categories: [], in_stock_only: true}
scenes: [%s]
formats: ['1:1', '4:5']
draws: 2
budget: {max_renders: 500}
"""


@router.get("/campaigns")
def list_campaigns(
    request: Request,
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    after: Annotated[Text, Query(max_length=200)] = "",
) -> HTMLResponse:
    """Campaigns by name, with their newest runs."""
    found = listed.page(tx, ws, after=after, limit=ROWS + 1)
    more = f"/campaigns?after={found[ROWS - 1].slug}" if len(found) > ROWS else None
    return page(
        request, "campaigns.html", rows=found[:ROWS], next=more,
        first="/campaigns" if after else None,
    )  # fmt: skip


@router.get("/campaigns/new")
def new_campaign(request: Request, tx: Reading, ws: Workspace, _person: Operator) -> HTMLResponse:
    """The editor with an example to begin with."""
    known = scenes.list_latest(tx, ws)
    text = EXAMPLE % ", ".join(scene.slug for scene in known[:2])
    return page(request, "campaign.html", **_editor(text), scenes=[s.slug for s in known])


@router.get("/campaigns/{slug}")
def show_campaign(
    request: Request,
    tx: Reading,
    ws: Workspace,
    dashboard: TheDashboard,
    _person: Viewer,
    slug: SlugPath,
    did: Search = None,
) -> HTMLResponse:
    """A campaign: its text to be changed, its runs, when it runs next."""
    campaign = campaigns.get(tx, ws, slug)
    newest = runs.page(tx, ws, campaign=slug, limit=RUNS)
    return page(
        request,
        "campaign.html",
        **_editor(
            campaign_yaml(campaign.spec),
            slug=slug,
            title=campaign.spec.title,
            runs=[(r, run_view(r, dashboard.gpu_hour_price)) for r in newest],
            notice="The campaign is stored." if did == "saved" else run_notice(did, None),
            pinned=campaign.model_revision,
            has_price=dashboard.gpu_hour_price is not None,
        ),
        scenes=[s.slug for s in scenes.list_latest(tx, ws)],
    )


@router.post("/campaigns")
def save_campaign(
    request: Request,
    env: Env,
    tx: Reading,
    ws: Workspace,
    person: Operator,
    text: Annotated[str, Form(max_length=LONGEST_TEXT)],
) -> Response:
    """Stores a campaign as `adloom campaign apply` does; one that cannot work comes back with what
    is wrong."""
    text = text.replace("\r\n", "\n")
    try:
        applied = acts.apply(request, person, env, text)
    except SpecError as error:
        problems = error.problems or (Problem(None, "(file)", error.message),)
        known = [s.slug for s in scenes.list_latest(tx, ws)]
        shown = _editor(text, problems=problems)
        return page(request, "campaign.html", status=422, **shown, scenes=known)
    return RedirectResponse(f"/campaigns/{applied.slug}?did=saved", status_code=303)


@router.post("/campaigns/{slug}/run")
def run_campaign(
    request: Request, tx: Reading, ws: Workspace, person: Operator, start: Starter, slug: SlugPath
) -> RedirectResponse:
    """Starts a run as `adloom run` does. Raises NotFoundError."""
    acts.begin_run(request, person, tx, ws, start, slug)
    return RedirectResponse(f"/campaigns/{slug}?did=began", status_code=303)


def _editor(text: str, **given: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "slug": None, "title": "New campaign", "runs": [], "notice": None, "problems": (),
        "pinned": None, "has_price": False,
    }  # fmt: skip
    return {**empty, "text": text, **given}
