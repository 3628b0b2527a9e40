"""One flow run that goes wrong ends no worker."""

import asyncio
import time
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from adloom.errors import HandedBackError
from flows.reap_leases import reap_leases
from tasks.stopping import Stop
from workers import resident
from workers.lanes import Lane


def test_a_flow_that_prefect_cancels_from_within_is_handed_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lease_cannot_be_renewed(*_: Any, **__: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(resident, "run_flow_async", lease_cannot_be_renewed)
    error, lane = resident._carry_out(
        reap_leases, FlowRun(flow_id=uuid4()), Stop(), Lane(nullcontext)
    )
    assert isinstance(error, HandedBackError)
    assert lane is None


def test_a_worker_whose_server_is_away_asks_on_and_is_as_healthy_as_one_with_an_answer() -> None:
    """A new process would have no answer, either, and would have to load its models anew."""

    async def asked_s_ago() -> float:
        worker = resident.ResidentWorker("gpu")
        worker._client = PrefectClient("http://127.0.0.1:9/api")
        worker.asked_at -= 1000
        assert not await worker._take()
        return time.monotonic() - worker.asked_at

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert asyncio.run(asked_s_ago()) < 100


def test_prefect_is_asked_where_work_is_likely_and_else_now_and_then() -> None:
    async def asks(likely: bool, silent_s: float) -> bool:
        worker = resident.ResidentWorker("gpu", is_work_likely=lambda: likely)
        worker.polled_at -= silent_s
        return await worker._is_worth_asking()

    assert asyncio.run(asks(True, 0.0))
    assert not asyncio.run(asks(False, 0.0))
    assert asyncio.run(asks(False, resident.UNHINTED_POLL_S + 1))
