"""Acts on runs by program; each tells what it did."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dashboard import run_acts as acts
from dashboard.access import Operator
from dashboard.commands import Starter
from dashboard.database import Env, Reading, Workspace
from dashboard.parameters import IdPath, Text
from dashboard.run_choice import MOST_ITEMS, ItemId, failure_filter

router = APIRouter(prefix="/runs/{run}", tags=["runs"])
Words = Annotated[Text, Field(max_length=200)]


class Failures(BaseModel):
    """Which failed items: all, or those for which all that is given holds."""

    error_class: Words | None = None
    reason: Words | None = None
    items: list[ItemId] | None = Field(default=None, max_length=MOST_ITEMS)


class Retried(BaseModel):
    """So many failed items are opened again."""

    items: int


class Cancelled(BaseModel):
    """What ended: open items, renders that no other run needs, batches."""

    items: int
    renders: int
    batches: int


class Paused(BaseModel):
    """So many batches are under way, and end."""

    under_way: int


class Resumed(BaseModel):
    """`items` are open; `started`: a process was started that carries the run out."""

    items: int
    started: bool


@router.post("/retry", status_code=202)
def retry(
    request: Request,
    tx: Reading,
    ws: Workspace,
    person: Operator,
    start: Starter,
    run: IdPath,
    failures: Failures,
) -> Retried:
    """Opens failed items again, as `adloom retry` does. 404: nothing failed so."""
    chosen = failure_filter(run, failures.error_class, failures.reason, failures.items)
    return Retried(items=acts.retry(request, person, tx, ws, start, chosen))


@router.post("/cancel")
def cancel(request: Request, env: Env, person: Operator, run: IdPath) -> Cancelled:
    """Cancels what is open of a run. 409: it has ended."""
    done = acts.cancel(request, person, env, run)
    return Cancelled(items=done.items, renders=done.renders, batches=done.batches)


@router.post("/pause")
def pause(request: Request, env: Env, tx: Reading, person: Operator, run: IdPath) -> Paused:
    """Has a run begin no more batches. 409: it has ended."""
    return Paused(under_way=acts.pause(request, person, env, tx, run))


@router.post("/resume")
def resume(
    request: Request, env: Env, tx: Reading, person: Operator, start: Starter, run: IdPath
) -> Resumed:
    """Lets a run go on, and has it carried out where nobody does. 409: it has ended."""
    done = acts.resume(request, person, env, tx, start, run)
    return Resumed(items=done.items, started=done.is_started)
