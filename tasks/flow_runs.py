"""A flow run in this process, recorded on the Prefect server."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_flow_here(flow: Callable[..., Coroutine[Any, Any, Result]], **parameters: Any) -> Result:
    """Runs an async flow to its end and returns its result, or raises what it raised.

    Ctrl-C ends the process at once, threads and all: whatever is stored stays, and the leases of
    what was under way run out by themselves.
    """
    signal.signal(signal.SIGINT, _interrupted)
    return asyncio.run(_run(flow, parameters))


def _interrupted(_signal: int, _frame: object) -> None:
    os.write(2, b"\ninterrupted; what is stored stays, and the next run goes on from there\n")
    os._exit(130)


async def _run(
    flow: Callable[..., Coroutine[Any, Any, Result]], parameters: dict[str, Any]
) -> Result:
    return await flow(**parameters)
