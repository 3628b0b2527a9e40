"""Event loops that flow runs go through one after another, each with Prefect clients of its own.

A client reads all certificates when it is made, 30 ms of processor, and connects anew: made for
each flow run, that would be a good part of what a short batch costs.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar

import httpx
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.exceptions import PrefectException

Result = TypeVar("Result")


@asynccontextmanager
async def prefect_clients() -> AsyncIterator[None]:
    """The two clients that Prefect's engine uses where it finds them; it asks for both."""
    with SyncClientContext():
        async with AsyncClientContext():
            yield


class Lane:
    """One event loop; any thread may run work in it, one at a time.

    `surroundings` is entered once, for all that will run in it: by default Prefect's clients. Made
    in a thread without a running loop; raises what entering does.
    """

    def __init__(
        self, surroundings: Callable[[], AbstractAsyncContextManager[Any]] = prefect_clients
    ) -> None:
        self._runner = asyncio.Runner()
        self._context = contextvars.copy_context()

        async def enter() -> AbstractAsyncContextManager[Any]:
            entered = surroundings()
            await entered.__aenter__()
            return entered

        try:
            self._entered = self._runner.run(enter(), context=self._context)
        except BaseException:
            self._runner.close()
            raise

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The work's result. Tasks that it leaves behind are cancelled; what it sets in its context
        is not seen by who comes next."""
        return self._runner.run(_alone(work), context=self._context.copy())

    def close(self) -> None:
        async def leave() -> None:
            with suppress(httpx.HTTPError, PrefectException, OSError):
                await self._entered.__aexit__(None, None, None)

        self._runner.run(leave(), context=self._context)
        self._runner.close()


async def _alone(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return await work
    finally:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
