"""A flow run in this process, recorded on the Prefect server."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_flow_here(flow: Callable[..., Coroutine[Any, Any, Result]], **parameters: Any) -> Result:
    """Runs an async flow to its end and returns its result, or raises what it raised."""
    return asyncio.run(_run(flow, parameters))


async def _run(
    flow: Callable[..., Coroutine[Any, Any, Result]], parameters: dict[str, Any]
) -> Result:
    return await flow(**parameters)
