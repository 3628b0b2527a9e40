"""One flow run that goes wrong ends no worker."""

import asyncio
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

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


def test_prefect_is_asked_where_work_is_likely_and_else_now_and_then() -> None:
    async def asks(likely: bool, silent_s: float) -> bool:
        worker = resident.ResidentWorker("gpu", is_work_likely=lambda: likely)
        worker.polled_at -= silent_s
        return await worker._is_worth_asking()

    assert asyncio.run(asks(True, 0.0))
    assert not asyncio.run(asks(False, 0.0))
    assert asyncio.run(asks(False, resident.UNHINTED_POLL_S + 1))
