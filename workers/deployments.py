"""Work pools and deployments on the Prefect server, as prefect.yaml has them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyOptions,
    DeploymentSchedule,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.utilities.callables import parameter_schema

from adloom import __version__
from adloom.errors import ConfigurationError, UnavailableError
from tasks.fleet import CONTROL_POOL, GPU_POOL
from workers.automations import install
from workers.entrypoints import flow_at
from workers.resident import ResidentWorker
from workers.schedules import OF_CAMPAIGN

__all__ = ["CONTROL_POOL", "GPU_POOL", "deploy", "require_pool"]
PREFECT_YAML = Path(__file__).parents[1] / "prefect.yaml"


async def deploy(file: Path = PREFECT_YAML) -> tuple[str, ...]:
    """Makes the pools and deployments that `file` names, or brings them up to date, and what
    watches over their flow runs.

    Schedules of campaigns stay; one that was switched on or off on Prefect's pages stays so, and so
    does a deployment that was paused there.
    Returns the deployments' names. Raises ConfigurationError for a file that cannot be used.
    """
    declared = _declared(file)
    try:
        async with get_client() as client:
            for pool in sorted({d["work_pool"]["name"] for d in declared}):
                await _make_pool(client, pool)
            names = tuple([await _deploy(client, one) for one in declared])
            await install(client)
            return names
    except httpx.TransportError as error:
        raise UnavailableError(
            "the Prefect server does not answer", hint="adloom status"
        ) from error


async def require_pool(name: str) -> None:
    """Raises ConfigurationError naming the pools that there are, UnavailableError."""
    try:
        async with get_client() as client:
            try:
                pool = await client.read_work_pool(name)
            except ObjectNotFound as error:
                there = ", ".join(sorted(p.name for p in await client.read_work_pools()))
                raise ConfigurationError(
                    f"there is no work pool '{name}'",
                    where="--pool",
                    hint=f"there are: {there or 'none; make them with `adloom up --workers N`'}",
                ) from error
    except httpx.TransportError as error:
        raise UnavailableError(
            "the Prefect server does not answer", hint="adloom status"
        ) from error
    if pool.type != ResidentWorker.type:
        raise ConfigurationError(
            f"the work pool '{name}' is of type '{pool.type}', needed is '{ResidentWorker.type}'",
            where="--pool",
            hint="delete it (`prefect work-pool delete`) and run `adloom up --workers N`",
        )


def _declared(file: Path) -> list[dict[str, Any]]:
    try:
        return list(yaml.safe_load(file.read_text(encoding="utf-8"))["deployments"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"no deployments can be read: {error}", where=str(file)) from error


async def _make_pool(client: PrefectClient, name: str) -> None:
    pool = WorkPoolCreate(
        name=name,
        type=ResidentWorker.type,
        base_job_template=ResidentWorker.get_default_base_job_template(),
    )
    try:
        await client.create_work_pool(pool)
    except ObjectAlreadyExists:
        await require_pool(name)


async def _deploy(client: PrefectClient, one: dict[str, Any]) -> str:
    flow = flow_at(one["entrypoint"])
    name = f"{flow.name}/{one['name']}"
    present = await _present(client, name)
    limit = (
        ConcurrencyLimitConfig(**one["concurrency_limit"]) if "concurrency_limit" in one else None
    )
    await client.create_deployment(
        flow_id=await client.create_flow(flow),
        name=one["name"],
        version=__version__,
        entrypoint=one["entrypoint"],
        description=one.get("description"),
        parameters=one.get("parameters") or {},
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        work_pool_name=one["work_pool"]["name"],
        schedules=_schedules(one, present.schedules if present else []),
        concurrency_limit=limit.limit if limit else None,
        concurrency_options=_options(limit) if limit else None,
        paused=present.paused if present else one.get("paused", False),
        enforce_parameter_schema=one.get("enforce_parameter_schema", True),
    )
    return name


def _options(limit: ConcurrencyLimitConfig) -> ConcurrencyOptions:
    return ConcurrencyOptions(
        collision_strategy=limit.collision_strategy,
        grace_period_seconds=limit.grace_period_seconds,
    )


async def _present(client: PrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _schedules(
    one: dict[str, Any], present: Sequence[DeploymentSchedule]
) -> list[DeploymentScheduleCreate]:
    """The declared schedules, and the campaigns' own, which Prefect would forget."""
    switched = {s.slug: bool(s.active) for s in present}
    declared = [
        _schedule(s, active=bool(switched.get(s["slug"], s.get("active", True))))
        for s in one.get("schedules") or []
    ]
    kept = [
        DeploymentScheduleCreate(
            schedule=s.schedule, active=s.active, slug=s.slug, parameters=s.parameters
        )
        for s in present
        if s.slug and s.slug.startswith(OF_CAMPAIGN)
    ]
    return declared + kept


def _schedule(one: dict[str, Any], *, active: bool) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(
        schedule=CronSchedule(cron=one["cron"], timezone=one.get("timezone", "UTC")),
        active=active,
        slug=one["slug"],
        parameters=one.get("parameters") or {},
    )
