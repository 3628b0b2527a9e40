"""The units of work as Prefect tasks: an id or a lease in, a plain value out, transient errors
retried.

Each runs in a thread, so that the flow's event loop stays free, and works on the environment of
this process. There is one task run per step, never one per batch or image.
"""

import asyncio
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from adloom.errors import AdloomError
from adloom.records import RunLease
from adloom.states import Outcome
from tasks import (
    catalog,
    cutouts,
    finishing,
    judging,
    photo_quality,
    photos,
    planning,
    resident,
    runs,
)
from tasks.environment import current

# Never cached: the same step of the same run does other work the next time.
ONCE: dict[str, Any] = {"cache_policy": NO_CACHE}
RETRIES: dict[str, Any] = {
    **ONCE,
    "retries": 2,
    "retry_delay_seconds": [1, 5],
    "retry_jitter_factor": 0.5,
}


async def is_transient(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether trying again can help: the error's class says so."""
    try:
        await state.aresult()
    except AdloomError as error:
        return error.retryable
    except Exception:
        return False
    return False


@task(name="read-rows", retry_condition_fn=is_transient, **RETRIES)
async def read_rows(source: str, allow_shrink: bool) -> catalog.RowsReport:
    return await asyncio.to_thread(catalog.read_rows, current(), source, allow_shrink=allow_shrink)


@task(name="fetch-photos", retry_condition_fn=is_transient, **RETRIES)
async def fetch_photos(source: str) -> photos.PhotosReport:
    def work() -> photos.PhotosReport:
        env = current()
        return photos.fetch_photos(env, catalog.require_source(env, source).id)

    return await asyncio.to_thread(work)


@task(name="extract-cutouts", retry_condition_fn=is_transient, **RETRIES)
async def extract_cutouts() -> cutouts.CutoutsReport:
    def work() -> cutouts.CutoutsReport:
        report = cutouts.extract_missing(current())
        photo_quality.score_missing(current())
        return report

    return await asyncio.to_thread(work)


@task(name="plan-run", retry_condition_fn=is_transient, **RETRIES)
async def plan_run(lease: RunLease) -> int:
    """Returns how many slots the run has."""

    def work() -> int:
        env = current()
        return planning.plan_run(env, lease, runs.require_run(env, lease.run_id))

    return await asyncio.to_thread(work)


@task(name="finish-missing", retry_condition_fn=is_transient, **RETRIES)
async def finish_missing(lease: RunLease) -> int:
    return await asyncio.to_thread(finishing.finish_missing, current(), lease)


@task(name="judge", retry_condition_fn=is_transient, **RETRIES)
async def judge(lease: RunLease) -> dict[Outcome, int]:
    def work() -> dict[Outcome, int]:
        env = current()
        run = runs.require_run(env, lease.run_id)
        revision = resident.scorer(env.rendering).revision
        return judging.judge_run(env, lease, run, scorer_revision=revision)

    return await asyncio.to_thread(work)
