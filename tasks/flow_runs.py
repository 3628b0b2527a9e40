"""A flow run in this process, recorded on the Prefect server."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpx

from adloom.errors import UnavailableError

Result = TypeVar("Result")


def run_flow_here(flow: Callable[..., Coroutine[Any, Any, Result]], **parameters: Any) -> Result:
    """Runs an async flow to its end and returns its result, or raises what it raised.

    Ctrl-C ends the process at once, threads and all: whatever is stored stays, and the leases of
    what was under way run out by themselves.
    """
    signal.signal(signal.SIGINT, _interrupted)
    try:
        return asyncio.run(_run(flow, parameters))
    except (httpx.HTTPError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "Failed to reach API" not in str(error):
            raise
        raise UnavailableError(
            "the Prefect server does not answer",
            where=os.environ.get("PREFECT_API_URL"),
            hint="run `adloom up`, or check ADLOOM_PREFECT_API_URL; then run the command again",
        ) from error


def _interrupted(_signal: int, _frame: object) -> None:
    os.write(2, b"\ninterrupted; what is stored stays, and the next run goes on from there\n")
    os._exit(130)


async def _run(
    flow: Callable[..., Coroutine[Any, Any, Result]], parameters: dict[str, Any]
) -> Result:
    return await flow(**parameters)
