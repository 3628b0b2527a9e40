"""Waiting out a service that does not answer, with jitter and for a bounded time.

A restart of Postgres, of the Prefect server or of the object store takes seconds to minutes: work
that is safe to repeat waits for it. What lasts longer is raised, and the run is gone on with later.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import ParamSpec, TypeVar

import httpx
import stamina
import structlog

from adloom.errors import (
    DatabaseUnavailableError,
    DeviceError,
    StorageUnavailableError,
    UnavailableError,
)
from storage.protocol import ObjectInfo, ObjectStore, PutResult

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
log = structlog.get_logger(__name__)

OUTAGE_S = 900.0
"""How long a coordinator, which holds nothing but its run, waits for a service."""
IN_BATCH_S = 180.0
"""How long a worker waits within a batch: beyond it another machine may have more luck."""


def is_outage(error: Exception) -> bool:
    """Whether a service did not answer, so that waiting can help."""
    if isinstance(error, httpx.HTTPStatusError):  # Prefect's own errors are of this kind
        return error.response.status_code >= 500 or error.response.status_code == 429
    if isinstance(error, DeviceError):  # waiting mends no device
        return False
    return isinstance(error, UnavailableError | httpx.TransportError)


def is_database_outage(error: Exception) -> bool:
    return isinstance(error, DatabaseUnavailableError)


class Outage:
    """Says after each failure whether to try again: for `timeout_s` since the outage began.

    Work may go well for hours before a service goes away: only failures count. What went on for a
    third of `timeout_s` before it failed again had an answer in between: another outage began.
    """

    def __init__(
        self,
        on: Callable[[Exception], bool],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on, self._timeout_s, self._clock = on, timeout_s, clock
        self._began_at = self._failed_at = float("-inf")

    def __call__(self, error: Exception) -> bool:
        if not self._on(error):
            return False
        now = self._clock()
        if now - self._failed_at > self._timeout_s / 3:
            self._began_at = now
        self._failed_at = now
        return now - self._began_at < self._timeout_s


class Outlasting:
    """A caller, for work in a thread, that repeats what fails `on` such errors: for at most
    `timeout_s` an outage."""

    def __init__(self, on: Callable[[Exception], bool], timeout_s: float) -> None:
        self._on, self._timeout_s = on, timeout_s

    def __call__(
        self, work: Callable[Arguments, Result], *given: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        call = stamina.RetryingCaller(
            attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0, wait_jitter=0.5
        ).on(Outage(self._on, self._timeout_s))
        return call(work, *given, **named)


async def outlast(
    work: Callable[Arguments, Awaitable[Result]], *given: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The work's result, the work repeated while a service does not answer, for OUTAGE_S at most.
    It must be safe to repeat."""
    call = stamina.AsyncRetryingCaller(
        attempts=None, timeout=None, wait_initial=0.3, wait_max=10.0, wait_jitter=1.0
    ).on(Outage(is_outage, OUTAGE_S))
    return await call(work, *given, **named)


async def in_thread(
    work: Callable[Arguments, Result], *given: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The same for work that blocks."""
    return await outlast(asyncio.to_thread, work, *given, **named)


class PatientStore:
    """An ObjectStore that waits, for at most `timeout_s` a call, while the one behind it is away.

    Every call is safe to repeat: objects are written once, and a repeated put adopts its object.
    """

    def __init__(self, store: ObjectStore, timeout_s: float = IN_BATCH_S) -> None:
        self._store = store
        self._call = Outlasting(lambda e: isinstance(e, StorageUnavailableError), timeout_s)

    def put(self, key: str, data: bytes, *, content_type: str) -> PutResult:
        return self._call(self._store.put, key, data, content_type=content_type)

    def get(self, key: str) -> bytes:
        return self._call(self._store.get, key)

    def head(self, key: str) -> ObjectInfo | None:
        return self._call(self._store.head, key)

    def exists(self, key: str) -> bool:
        return self._call(self._store.exists, key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._store.list(prefix)  # a stream: whoever reads it begins anew

    def delete(self, key: str) -> None:
        self._call(self._store.delete, key)

    def check(self) -> None:
        self._store.check()

    def location(self, key: str) -> str:
        return self._store.location(key)
