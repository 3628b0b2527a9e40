"""When campaigns run by themselves: schedules of the run-campaign deployment."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from adloom.deadlines import checked_zone
from adloom.errors import ConfigurationError, InvalidInputError, NotFoundError, UnavailableError
from adloom.states import Trigger

OF_CAMPAIGN = "campaign-"
"""What the slugs of these schedules begin with."""
_DEPLOYMENT = "run-campaign/run-campaign"
_FIELDS = 5
_SHORT = re.compile(r"@\w+")


class Overlap(StrEnum):
    """What a scheduled run does while the campaign's last one is still being executed."""

    SKIP = "skip"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class CampaignSchedule:
    """`next_at`: when Prefect will next begin a run of it; None where it is switched off, or just
    made."""

    campaign: str
    cron: str
    timezone: str
    overlap: Overlap
    active: bool
    next_at: datetime | None = None


@asynccontextmanager
async def _client() -> AsyncIterator[PrefectClient]:
    try:
        async with get_client() as client:
            yield client
    except httpx.TransportError as error:
        raise UnavailableError(
            "the Prefect server does not answer", hint="adloom status"
        ) from error


async def schedule(wanted: CampaignSchedule) -> None:
    """Has a campaign run by a schedule, in place of the one it had.

    Raises InvalidInputError for what is no cron expression or time zone, ConfigurationError where
    there is no deployment, UnavailableError.
    """
    cron = _cron(wanted)
    async with _client() as client:
        deployment = await _deployment(client)
        made = DeploymentScheduleCreate(
            schedule=cron,
            active=wanted.active,
            slug=OF_CAMPAIGN + wanted.campaign,
            parameters={
                "campaign": wanted.campaign,
                "trigger": Trigger.SCHEDULE.value,
                "overlap": wanted.overlap.value,
            },
        )
        await _forget(client, deployment, wanted.campaign)
        await client.create_deployment_schedules(deployment.id, [made])
        # Touched, it is looked at by the scheduler within seconds, and not at its next round.
        touched = DeploymentUpdate(description=deployment.description)
        await client.update_deployment(deployment.id, touched)


async def unschedule(campaign: str) -> None:
    """Ends a campaign's schedule; a run under way goes on. Raises NotFoundError if it has none."""
    async with _client() as client:
        if not await _forget(client, await _deployment(client), campaign):
            raise NotFoundError(
                f"campaign '{campaign}' has no schedule", hint="see `adloom campaign schedules`"
            )


async def schedules() -> tuple[CampaignSchedule, ...]:
    """The campaigns' schedules, by name."""
    async with _client() as client:
        deployment = await _deployment(client)
        coming = await client.get_scheduled_flow_runs_for_deployments([deployment.id])
    at: dict[str, datetime] = {}
    for run in coming:
        when, campaign = run.next_scheduled_start_time, str(run.parameters.get("campaign"))
        if when is not None and when < at.get(campaign, datetime.max.replace(tzinfo=when.tzinfo)):
            at[campaign] = when
    found = [_of(s, at) for s in deployment.schedules if (s.slug or "").startswith(OF_CAMPAIGN)]
    return tuple(sorted(found, key=lambda s: s.campaign))


def _of(one: DeploymentSchedule, at: dict[str, datetime]) -> CampaignSchedule:
    campaign = (one.slug or "").removeprefix(OF_CAMPAIGN)
    timed = one.schedule if isinstance(one.schedule, CronSchedule) else None
    return CampaignSchedule(
        campaign,
        timed.cron if timed else str(one.schedule),
        (timed.timezone if timed else None) or "UTC",
        Overlap(one.parameters.get("overlap", Overlap.SKIP)),
        one.active,
        at.get(campaign) if one.active else None,
    )


async def _forget(client: PrefectClient, deployment: DeploymentResponse, campaign: str) -> bool:
    slug = OF_CAMPAIGN + campaign
    there = [s for s in deployment.schedules if s.slug == slug and s.id is not None]
    for one in there:
        await client.delete_deployment_schedule(deployment.id, one.id)
    return bool(there)


def _cron(wanted: CampaignSchedule) -> CronSchedule:
    try:
        checked_zone(wanted.timezone)
    except ValueError as error:
        raise InvalidInputError(str(error), where="--timezone") from error
    try:
        if len(wanted.cron.split()) != _FIELDS and not _SHORT.fullmatch(wanted.cron):
            raise ValueError("it has five fields")
        return CronSchedule(cron=wanted.cron, timezone=wanted.timezone)
    except (ValidationError, ValueError) as error:
        raise InvalidInputError(
            f"'{wanted.cron[:60]}' is no cron expression",
            where="--cron",
            hint="minute, hour, day, month, weekday: '0 2 * * *' is each night at two",
        ) from error


async def _deployment(client: PrefectClient) -> DeploymentResponse:
    try:
        return await client.read_deployment_by_name(_DEPLOYMENT)
    except ObjectNotFound as error:
        raise ConfigurationError(
            f"the deployment '{_DEPLOYMENT}' is not on the Prefect server",
            hint="run `adloom up --workers N`",
        ) from error
