"""Outages are waited out; what waiting cannot mend is raised at once."""

import asyncio
from pathlib import Path

import httpx
import pytest
import stamina

from adloom.errors import (
    DatabaseUnavailableError,
    DeviceError,
    ObjectMissingError,
    RenderError,
    StorageDeniedError,
    StorageUnavailableError,
)
from storage.local import LocalStore
from storage.protocol import PutResult
from tasks.patience import Outage, PatientStore, in_thread, is_outage, outlast


class AwayStore(LocalStore):
    """A folder that does not answer the first `away` calls, though it did what was asked."""

    away = 2

    def put(self, key: str, data: bytes, *, content_type: str) -> PutResult:
        done = super().put(key, data, content_type=content_type)
        if self.away:
            self.away -= 1
            raise StorageUnavailableError(where=key)
        return done


@pytest.fixture(autouse=True)
def _soon() -> object:
    with stamina.set_testing(True, attempts=4):  # no waiting between the attempts
        yield


def test_a_store_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    store = PatientStore(AwayStore(tmp_path))
    assert not store.put("w/a", b"x", content_type="text/plain").created  # it adopts its own
    assert store.get("w/a") == b"x"


def test_what_waiting_cannot_mend_is_raised_at_once(tmp_path: Path) -> None:
    with pytest.raises(ObjectMissingError):
        PatientStore(LocalStore(tmp_path)).get("w/none")


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (DatabaseUnavailableError(), True),
        (StorageUnavailableError(), True),
        (httpx.ConnectError("no"), True),
        (httpx.HTTPStatusError("", request=httpx.Request("GET", "http://h"),
                                          response=httpx.Response(503)), True),
        (httpx.HTTPStatusError("", request=httpx.Request("GET", "http://h"),
                               response=httpx.Response(404)), False),
        (DeviceError(), False),
        (StorageDeniedError(), False),
        (RenderError(), False),
        (ValueError(), False),
    ],
)  # fmt: skip
def test_which_errors_are_outages(error: Exception, outage: bool) -> None:
    assert is_outage(error) is outage


def test_a_coordinator_outlasts_an_outage() -> None:
    fails = iter([DatabaseUnavailableError(), StorageUnavailableError()])

    def work(value: int) -> int:
        for error in fails:
            raise error
        return value

    async def step(value: int) -> int:
        return await in_thread(work, value)

    assert asyncio.run(outlast(step, 7)) == 7


def test_only_the_outage_counts_and_not_the_work_before_it() -> None:
    # The first failure comes after long work; before the last one it went on for minutes again.
    times = iter([181.0, 200.0, 240.0, 300.0, 360.0, 361.0, 1000.0])
    try_again = Outage(is_outage, 180.0, clock=lambda: next(times))
    assert [try_again(DatabaseUnavailableError()) for _ in range(7)] == [*[True] * 5, False, True]
    assert not try_again(RenderError())
