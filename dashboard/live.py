"""Server-sent events: what a query finds, whenever that has changed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Request
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from adloom.errors import AdloomError, DatabaseUnavailableError, SignInNeededError
from dashboard.access.requiring import identified
from dashboard.context import dashboard_of
from dashboard.database import READ_TIMEOUT_S
from db.engine import Transaction

_ALIVE_S = 15.0
_SIGNED_IN_S = 60.0


def live(
    request: Request, read: Callable[[Transaction], Any], *, every_s: float = 2.0
) -> StreamingResponse:
    """A stream of events, each `read`'s value as JSON, sent when it differs from the last one.

    `read` is called every `every_s` seconds, in a thread, with a read-only transaction. While the
    database does not answer the stream says so (`event: trouble`) and goes on trying; it ends with
    `event: end` when the session has ended or `read` raises NotFoundError or the like.
    """
    return StreamingResponse(
        _events(request, read, every_s),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    request: Request, read: Callable[[Transaction], Any], every_s: float
) -> AsyncIterator[str]:
    last, said_at, checked_at = "", time.monotonic(), time.monotonic()
    yield "retry: 2000\n\n"
    while not await request.is_disconnected():
        now = time.monotonic()
        try:
            if now - checked_at > _SIGNED_IN_S:
                await run_in_threadpool(identified, request)
                checked_at = now
            event = f"data: {await run_in_threadpool(_read, request, read)}\n\n"
        except DatabaseUnavailableError:
            event = 'event: trouble\ndata: {"message": "The database does not answer."}\n\n'
        except AdloomError as error:
            ended = "signed out" if isinstance(error, SignInNeededError) else error.message
            yield f"event: end\ndata: {to_json({'message': ended}).decode()}\n\n"
            return
        if event != last:
            last, said_at = event, now
            yield event
        elif now - said_at > _ALIVE_S:
            said_at = now
            yield ": alive\n\n"
        await asyncio.sleep(every_s)


def _read(request: Request, read: Callable[[Transaction], Any]) -> str:
    with dashboard_of(request).environment.database.reading(READ_TIMEOUT_S) as tx:
        return to_json(read(tx), inf_nan_mode="null").decode()
