"""Batches handed to Prefect, and those found that got lost on the way.

What has become of a batch is what its row says; Prefect's states only help to find submissions
that nobody will ever begin.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled
from prefect.types._datetime import now

from adloom.errors import ConfigurationError
from adloom.records import OrphanedRun, Submission
from adloom.states import Trigger
from db.queries import submissions
from tasks.environment import Environment

log = structlog.get_logger(__name__)

UNNOTED_S = 10.0
"""A submission without a flow run for this long was never made."""
DOUBTED_S = 20.0
"""Prefect is asked about a submission that nobody has begun for this long."""
_PAGE = 200
"""The server answers with no more flow runs at a time."""
_BATCHES, _CAMPAIGNS = "generate-batch/generate-batch", "run-campaign/run-campaign"
_ENDED = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
_UNDER_WAY = {StateType.PENDING, StateType.RUNNING}


class Dispatcher:
    """Submits batches to Prefect on behalf of one run."""

    def __init__(self, env: Environment, model: str) -> None:
        self._env, self._model = env, model
        self._deployment: UUID | None = None

    async def submit(self, chosen: Sequence[Submission]) -> None:
        """Makes a flow run for each; one made already under the same key is found, not made anew.

        What fails half-way is found by `find_lost`. Raises ConfigurationError when the deployment
        is missing, httpx.HTTPError when the server does not answer.
        """
        if not chosen:
            return
        async with get_client() as client:
            if self._deployment is None:
                self._deployment = await _deployment_id(_BATCHES)
            for one in chosen:
                made = await client.create_flow_run_from_deployment(
                    self._deployment,
                    parameters={"batch_id": one.batch_id, "model": self._model},
                    name=f"batch-{one.batch_id}",
                    state=Scheduled(),
                    idempotency_key=one.key,
                    tags=[f"run-{one.run_id}"],
                )
                await asyncio.to_thread(self._note, one, str(made.id))

    async def find_lost(self, run_id: int) -> int:
        """Has lost submissions made again; returns how many.

        Lost is one that was never made; whose taker has died; whose flow run has ended or is gone,
        taken or not, or was claimed by a worker that never got as far as to say so.
        """
        waiting = await asyncio.to_thread(self._waiting, run_id)
        lost = [s for s in waiting if _is_lost(s)]
        doubted = [s for s in waiting if s not in lost and s.age_s > DOUBTED_S and s.flow_run_id]
        if doubted:
            found = await _flow_runs([s.flow_run_id for s in doubted if s.flow_run_id])
            lost += [s for s in doubted if not is_on_its_way(found.get(s.flow_run_id or ""), s)]
        if lost:
            log.warning("submissions got lost", batches=[s.batch_id for s in lost])
            await asyncio.to_thread(self._withdraw, lost)
        return len(lost)

    def _note(self, one: Submission, flow_run_id: str) -> None:
        with self._env.database.transaction() as tx:
            submissions.note_flow_run(tx, one, flow_run_id)

    def _waiting(self, run_id: int) -> tuple[Submission, ...]:
        with self._env.database.transaction() as tx:
            return submissions.waiting(tx, run_id)

    def _withdraw(self, lost: Sequence[Submission]) -> None:
        with self._env.database.transaction() as tx:
            submissions.withdraw(tx, lost)


async def resume(orphan: OrphanedRun, key: str) -> str:
    """Has the run-campaign deployment go on with an interrupted run; returns the flow run's id."""
    async with get_client() as client:
        made = await client.create_flow_run_from_deployment(
            await _deployment_id(_CAMPAIGNS),
            parameters={
                "campaign": orphan.campaign,
                "trigger": orphan.trigger.value,
                "run": orphan.run_id,
            },
            state=Scheduled(),
            idempotency_key=key,
        )
    return str(made.id)


async def to_resume(orphans: Sequence[OrphanedRun]) -> list[OrphanedRun]:
    """Those that a schedule or a deployment began, and no flow run that waits will go on with."""
    found = await _flow_runs([o.flow_run_id for o in orphans if o.flow_run_id])
    return [o for o in orphans if is_to_resume(found.get(o.flow_run_id or ""), o)]


def is_to_resume(flow_run: FlowRun | None, orphan: OrphanedRun) -> bool:
    if flow_run is None:
        return orphan.trigger is Trigger.SCHEDULE
    if flow_run.state is not None and flow_run.state.type is StateType.SCHEDULED:
        return False
    return orphan.trigger is Trigger.SCHEDULE or flow_run.deployment_id is not None


def _is_lost(one: Submission) -> bool:
    if one.taken_by:
        return not one.taker_is_alive
    return one.flow_run_id is None and one.age_s > UNNOTED_S


def is_on_its_way(flow_run: FlowRun | None, one: Submission) -> bool:
    """Whether a worker may yet begin the batch by this flow run.

    Who claims it says so at once, loading no model first: one that is under way for long and has
    not is of a worker that died.
    """
    state = flow_run.state if flow_run is not None else None
    if state is None or state.type in _ENDED:
        return False
    if one.taken_by or state.type not in _UNDER_WAY:
        return True
    return (now("UTC") - state.timestamp).total_seconds() < 2 * DOUBTED_S


async def _flow_runs(ids: Sequence[str]) -> dict[str, FlowRun]:
    found: dict[str, FlowRun] = {}
    async with get_client() as client:
        for start in range(0, len(ids), _PAGE):
            some = [UUID(i) for i in ids[start : start + _PAGE]]
            chosen = FlowRunFilter(id=FlowRunFilterId(any_=some))
            page = await client.read_flow_runs(flow_run_filter=chosen, limit=_PAGE)
            found |= {str(r.id): r for r in page}
    return found


async def _deployment_id(name: str) -> UUID:
    async with get_client() as client:
        try:
            return (await client.read_deployment_by_name(name)).id
        except ObjectNotFound as error:
            raise ConfigurationError(
                f"the deployment '{name}' is not on the Prefect server",
                hint="run `adloom up --workers N`",
            ) from error
