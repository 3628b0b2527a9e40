"""Waiting out a service that does not answer, with jitter and for a bounded time.

A restart of Postgres, of the Prefect server or of the object store takes seconds to minutes: work
that is safe to repeat waits for it. What lasts longer is raised, and the run is gone on with later.
"""

import asyncio
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


def waits(on: Callable[[Exception], bool], timeout_s: float) -> stamina.BoundAsyncRetryingCaller:
    """A caller that repeats what fails `on` such errors for at most `timeout_s`."""
    return stamina.AsyncRetryingCaller(
        attempts=None, timeout=timeout_s, wait_initial=0.3, wait_max=10.0, wait_jitter=1.0
    ).on(on)


async def outlast(
    work: Callable[Arguments, Awaitable[Result]], *given: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The work's result, the work repeated while a service does not answer, for OUTAGE_S at most.
    It must be safe to repeat."""
    return await waits(is_outage, OUTAGE_S)(work, *given, **named)


async def in_thread(
    work: Callable[Arguments, Result], *given: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The same for work that blocks."""
    return await waits(is_outage, OUTAGE_S)(asyncio.to_thread, work, *given, **named)


def outlasting(on: Callable[[Exception], bool], timeout_s: float) -> stamina.BoundRetryingCaller:
    """The same for work in a thread."""
    return stamina.RetryingCaller(
        attempts=None, timeout=timeout_s, wait_initial=0.2, wait_max=5.0, wait_jitter=0.5
    ).on(on)


class PatientStore:
    """An ObjectStore that waits, for at most `timeout_s` a call, while the one behind it is away.

    Every call is safe to repeat: objects are written once, and a repeated put adopts its object.
    """

    def __init__(self, store: ObjectStore, timeout_s: float = IN_BATCH_S) -> None:
        self._store = store
        self._call = outlasting(lambda e: isinstance(e, StorageUnavailableError), timeout_s)

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
