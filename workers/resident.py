"""The Prefect worker type `resident`: runs its pool's flows in its own process.

It polls faster than Prefect's own workers and asks the server less: a flow run is claimed by making
it PENDING, and run. It takes two at a time: while one renders, the next prepares (tasks/device.py).
A server that does not answer is waited for, since a new process would have to load its models anew.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import PrefectException
from prefect.flow_engine import run_flow_async
from prefect.states import Cancelled, Scheduled
from prefect.types._datetime import now
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

from adloom.errors import (
    AdloomError,
    DeviceError,
    HandedBackError,
)
from tasks.fleet import GPU_POOL
from tasks.stopping import Stop, StopReason, heeded
from workers.entrypoints import flow_at
from workers.lanes import Lane
from workers.pauses import Pauses

BUSY_POLL_S, IDLE_POLL_S = 0.25, 2.0
UNHINTED_POLL_S = 15.0
"""Prefect's server is asked at least this often, even where nothing hints at work."""
_SERVER_AWAY = (httpx.HTTPError, PrefectException, OSError)


class ResidentResult(BaseWorkerResult):
    """What became of a flow run in this process."""


class ResidentWorker(BaseWorker[BaseJobConfiguration, BaseVariables, ResidentResult]):
    """Runs flows of adloom until it is drained. One per process."""

    type: str = "resident"
    _description: ClassVar[str] = (
        "Runs adloom's flows in the worker's own process, with the models loaded once."
    )

    def __init__(
        self, *arguments: Any, is_work_likely: Callable[[], bool] = lambda: True, **options: Any
    ) -> None:
        """`is_work_likely` is asked, in a thread, before Prefect's server is: hundreds of workers
        that wait would keep that busy, which is one process."""
        options["limit"] = options.get("limit") or 2
        options["prefetch_seconds"] = 0
        super().__init__(*arguments, **options)
        self.polled_at = self.asked_at = time.monotonic()
        """When the server last answered, and when it was last asked, whatever came of it."""
        self.ended_runs = 0
        self.ended_by: DeviceError | None = None
        """What makes this process unfit for more work: its device."""
        self._is_work_likely = is_work_likely
        self._draining = False
        self._told_to_drain = asyncio.Event()
        self._active: dict[UUID, Stop] = {}
        self._flows: dict[UUID, Flow[..., Any]] = {}
        self._free_lanes: list[Lane] = []
        self._wake = asyncio.Event()
        self._pauses = Pauses()

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """The least there can be: Prefect's job variables mean nothing here, and its server checks
        them against their schema for each flow run."""
        properties = {"name": {"type": "string"}}
        return {
            "job_configuration": {"name": "{{ name }}"},
            "variables": {"type": "object", "properties": properties},
        }

    @property
    def active(self) -> int:
        """How many flow runs are under way."""
        return len(self._active)

    @property
    def draining(self) -> bool:
        return self._draining

    def drain(self, reason: StopReason, *, hand_back: bool) -> None:
        """Takes nothing more; `start` returns when all that was begun has ended.

        What waits for its turn, and coordinators, are handed back at once; batches that render
        only with `hand_back`, between two micro-batches. Call it in the worker's event loop.
        """
        self._draining = True
        self._told_to_drain.set()
        for stop in self._active.values():
            stop.request(reason, gently=not hand_back)
        self._wake.set()

    async def start(
        self, run_once: bool = False, with_healthcheck: bool = False, printer: Any = print
    ) -> None:
        """Works until drained. The arguments are those of `prefect worker start`."""
        del run_once, with_healthcheck
        async with self, anyio.create_task_group() as loops:
            printer(f"worker '{self.name}' takes work from pool '{self._work_pool_name}'")
            loops.start_soon(self._keep_synced)
            await self._work()
            loops.cancel_scope.cancel()
        for lane in self._free_lanes:
            await anyio.to_thread.run_sync(lane.close)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ResidentResult:
        """Runs the flow of a flow run here, in a thread and in a lane of its own meanwhile."""
        del configuration
        if task_status:
            task_status.started(os.getpid())
        flow = await self._flow_of(flow_run)
        stop = self._active[flow_run.id]
        if self._work_pool_name == GPU_POOL:
            # Where Prefect knows a deployment it watches for the flow run's suspension, with a
            # thread, a connection and a client for each. `adloom pause` is what suspends batches.
            flow_run = flow_run.model_copy(update={"deployment_id": None})
        lane = self._free_lanes.pop() if self._free_lanes else None
        error, lane = await anyio.to_thread.run_sync(
            _carry_out, flow, flow_run, stop, lane, abandon_on_cancel=True
        )
        if lane is not None:
            self._free_lanes.append(lane)
        if isinstance(error, HandedBackError):
            await self._after_handing_back(flow_run, stop)
        elif isinstance(error, DeviceError):
            self._logger.error("%s", error)
            self.ended_by = self.ended_by or error
            self.drain(StopReason.REPLACED, hand_back=True)
        elif isinstance(error, AdloomError) and error.of_installation and not error.retryable:
            await self._pause(self._pauses.after(error))
        else:
            self._pauses.reset()
        return ResidentResult(status_code=0, identifier=str(os.getpid()))

    async def _work(self) -> None:
        """Takes flow runs as they come, until draining and nothing is under way."""
        idle_s = BUSY_POLL_S
        while not (self._draining and not self._active):
            self._wake.clear()
            took = False
            if not self._draining and len(self._active) < (self._limit or 1):
                took = await self._take()
            idle_s = BUSY_POLL_S if took else min(IDLE_POLL_S, idle_s * 1.5)
            with suppress(TimeoutError):
                async with asyncio.timeout(idle_s * random.uniform(0.8, 1.2)):
                    await self._wake.wait()
                idle_s = BUSY_POLL_S  # a flow run has ended: whoever coordinates submits another

    async def _take(self) -> bool:
        """Asks for flow runs and begins them; False if there were none or nobody answered."""
        free = (self._limit or 1) - len(self._active)
        if not await self._is_worth_asking():
            return False
        try:
            waiting = await self._waiting(limit=4 * free)
        except _SERVER_AWAY as error:
            self._logger.warning("no flow runs to be had: %s", error)
            return False
        finally:
            self.asked_at = time.monotonic()
        self.polled_at = time.monotonic()
        waiting = [run for run in waiting if run.id not in self._active]
        # Many workers see the same few: by chance they do not all reach for the first.
        random.shuffle(waiting)
        for flow_run in waiting[:free]:
            self._active[flow_run.id] = Stop()
            assert self._runs_task_group is not None, "the worker has been set up"
            self._runs_task_group.start_soon(self._submit_run, flow_run)
        return bool(waiting)

    async def _is_worth_asking(self) -> bool:
        if time.monotonic() - self.polled_at > UNHINTED_POLL_S:
            return True
        try:
            return await asyncio.to_thread(self._is_work_likely)
        except AdloomError as error:
            self._logger.warning("asking Prefect's server for work: %s", error)
            return True

    async def _waiting(self, *, limit: int) -> list[FlowRun]:
        body: dict[str, Any] = {"limit": limit, "scheduled_before": str(now("UTC"))}
        if self._work_queues:
            body["work_queue_names"] = sorted(self._work_queues)
        answer = await self.client.request(
            "POST",
            "/work_pools/{name}/get_scheduled_flow_runs",
            path_params={"name": self._work_pool_name},
            json=body,
        )
        found = WorkerFlowRunResponse.model_validate_list(answer.json())
        return [entry.flow_run for entry in found]

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Claims a flow run and runs it. Whatever goes wrong with one stops no other."""
        if self._cancelling_observer is not None:
            self._cancelling_observer.add_in_flight_flow_run_id(flow_run.id)
        try:
            if await self._propose_pending_state(flow_run):
                await self.run(flow_run, BaseJobConfiguration())
        except Exception as error:
            self.get_flow_run_logger(flow_run).exception("not carried out: %s", error)
        finally:
            del self._active[flow_run.id]
            self.ended_runs += 1
            if self._cancelling_observer is not None:
                self._cancelling_observer.remove_in_flight_flow_run_id(flow_run.id)
            self._wake.set()

    async def _cancel_run(self, flow_run_id: UUID) -> None:
        """Called when Prefect says that a flow run is to be cancelled."""
        if flow_run_id in self._active:
            self._active[flow_run_id].request(StopReason.CANCELLED, gently=False)
        else:
            await super()._cancel_run(flow_run_id)

    async def _after_handing_back(self, flow_run: FlowRun, stop: Stop) -> None:
        """A cancelled flow run ends so; any other goes to the next worker."""
        cancelled = stop.reason is StopReason.CANCELLED
        state = Cancelled() if cancelled else Scheduled(name="HandedBack")
        try:
            await self.client.set_flow_run_state(flow_run.id, state, force=True)
        except _SERVER_AWAY as error:
            self._logger.warning("flow run %s: %s", flow_run.id, error)

    async def _pause(self, seconds: float) -> None:
        """Keeps a place free of work after a fault of the installation (weights, keys, settings)
        that one flow run met: it may be another's as well, who will be handed back at once."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told_to_drain.wait(), seconds)

    async def _flow_of(self, flow_run: FlowRun) -> Flow[..., Any]:
        """The flow of a flow run's deployment, imported once."""
        deployment_id = flow_run.deployment_id
        assert deployment_id is not None, "work pools hold deployments' runs only"
        if deployment_id not in self._flows:
            deployment = await self.client.read_deployment(deployment_id)
            self._flows[deployment_id] = flow_at(deployment.entrypoint or "")
        return self._flows[deployment_id]

    async def _keep_synced(self) -> None:
        """Tells the Prefect server now and then that this worker is there."""
        while True:
            try:
                await self._sync_and_initialize()
            except _SERVER_AWAY as error:
                self._logger.warning("the Prefect server does not answer: %s", error)
            await asyncio.sleep(self.heartbeat_interval_seconds * random.uniform(0.8, 1.2))


def _carry_out(
    flow: Flow[..., Any], flow_run: FlowRun, stop: Stop, lane: Lane | None
) -> tuple[BaseException | None, Lane | None]:
    """Runs the flow to its end in the lane, or in a new one; returns what it failed with, and the
    lane if the next flow run can take it.

    Prefect cancels a flow whose concurrency lease it cannot renew, say after a restart of its
    server: that ends the flow run, which is handed back, and not the worker.
    """

    async def carry_out() -> BaseException | None:
        with heeded(stop):
            state = await run_flow_async(
                flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state"
            )
        if state is None or state.is_completed():
            return None
        if not state.is_final():  # Prefect keeps a run that is being cancelled from failing
            return HandedBackError(f"left as {state.name}")
        said = await state.aresult(raise_on_failure=False)
        return said if isinstance(said, BaseException) else None

    lane = lane or Lane()
    try:
        return lane.run(carry_out()), lane
    except asyncio.CancelledError:
        lane.close()
        return HandedBackError("Prefect cancelled the flow from within", where=flow.name), None
    except BaseException:
        lane.close()
        raise
