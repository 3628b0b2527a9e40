"""Campaigns as JSON: checked while they are written, planned before they are stored."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, field_validator

from adloom.errors import UnavailableError
from dashboard import campaign_acts as acts
from dashboard.access import Operator, Viewer
from dashboard.campaign_texts import Run, planned, problems_of
from dashboard.commands import Starter
from dashboard.database import Env, Reading, TheDashboard, Workspace
from dashboard.parameters import Limit, SlugPath, Text
from db.queries.dashboard import campaigns
from services.schedules import scheduled_runs

router = APIRouter(tags=["campaigns"])
LONGEST_TEXT = 500_000


class CampaignText(BaseModel):
    """A campaign's YAML."""

    text: Annotated[str, Field(max_length=LONGEST_TEXT)]

    @field_validator("text")
    @classmethod
    def _can_be_written(cls, text: str) -> str:
        text.encode()  # a lone surrogate is no text: UnicodeEncodeError is a ValueError
        return text


class ProblemOut(BaseModel):
    line: int | None
    field: str
    message: str


class Checked(BaseModel):
    """Empty `problems`: it can be stored."""

    problems: list[ProblemOut]


class CampaignOut(BaseModel):
    campaign: str
    title: str
    changed_at: datetime
    scenes: int
    formats: int
    variants: int
    last_run: int | None
    last_run_state: str | None


class CampaignsOut(BaseModel):
    """`next`: give it as `after` for the next page; None on the last one."""

    campaigns: list[CampaignOut]
    next: str | None


class AppliedOut(BaseModel):
    """`change`: created, changed or unchanged; `unpinned_from`: the weights that the campaign was
    pinned to until now, None where it stays pinned."""

    campaign: str
    change: str
    unpinned_from: str | None


class Begun(BaseModel):
    campaign: str


class ScheduledOut(BaseModel):
    campaign: str | None
    at: datetime


class Schedule(BaseModel):
    """`known` false: Prefect did not answer within a second."""

    known: bool
    runs: list[ScheduledOut]


@router.get("/campaigns")
def list_campaigns(
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    after: Annotated[Text, Query(max_length=200)] = "",
    limit: Limit = 50,
) -> CampaignsOut:
    """Campaigns by name."""
    found = campaigns.page(tx, ws, after=after, limit=limit + 1)
    shown = found[:limit]
    return CampaignsOut(
        campaigns=[
            CampaignOut(
                campaign=c.slug, title=c.title, changed_at=c.updated_at, scenes=c.scenes,
                formats=c.formats, variants=c.variants, last_run=c.run_id,
                last_run_state=c.run_state,
            )
            for c in shown
        ],
        next=shown[-1].slug if len(found) > limit else None,
    )  # fmt: skip


@router.get("/schedule")
def schedule(dashboard: TheDashboard, _person: Viewer) -> Schedule:
    """When campaigns are to run next."""
    try:
        found = scheduled_runs(dashboard.prefect_api_url)
    except UnavailableError:
        return Schedule(known=False, runs=[])
    return Schedule(known=True, runs=[ScheduledOut(campaign=r.campaign, at=r.at) for r in found])


@router.post("/campaigns/check")
def check(env: Env, _person: Operator, campaign: CampaignText) -> Checked:
    """What is wrong with a campaign's text, by line and field; nothing is stored."""
    return Checked(
        problems=[
            ProblemOut(line=p.line, field=p.field, message=p.message)
            for p in problems_of(env, campaign.text)
        ]
    )


@router.put("/campaigns")
def apply(request: Request, env: Env, person: Operator, campaign: CampaignText) -> AppliedOut:
    """Stores a campaign as `adloom campaign apply` does. 422 says by line what is wrong with it."""
    done = acts.apply(request, person, env, campaign.text)
    return AppliedOut(campaign=done.slug, change=done.change, unpinned_from=done.unpinned_from)


@router.post("/campaigns/{slug}/run", status_code=202)
def run_campaign(
    request: Request, tx: Reading, ws: Workspace, person: Operator, start: Starter, slug: SlugPath
) -> Begun:
    """Starts a run as `adloom run` does; it shows among the runs within seconds."""
    acts.begin_run(request, person, tx, ws, start, slug)
    return Begun(campaign=slug)


@router.post("/campaigns/plan")
def plan(
    env: Env, dashboard: TheDashboard, _person: Operator, run: Run, campaign: CampaignText
) -> dict[str, Any]:
    """The dry run of a campaign's text: what it would make, reuse, skip and cost; nothing is
    stored. Takes seconds, of a large catalogue minutes."""
    return planned(env, run, campaign.text, dashboard.gpu_hour_price)
