"""Acts on a run: each says first what it would concern, and afterwards what it did."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse

from adloom.run_figures import RunRow
from dashboard import run_acts as acts
from dashboard.access import Operator
from dashboard.commands import Starter
from dashboard.database import Env, Reading, Workspace
from dashboard.parameters import IdPath, Search, Text
from dashboard.run_choice import (
    MOST_ITEMS,
    ItemId,
    Items,
    failure_filter,
    in_words,
)
from dashboard.run_view import counted
from dashboard.templating import page
from db.queries.dashboard import runs

router = APIRouter()
Words = Annotated[Text, Form(max_length=200)]


@router.get("/runs/{run}/retry")
def ask_retry(
    request: Request,
    tx: Reading,
    ws: Workspace,
    _person: Operator,
    run: IdPath,
    error_class: Search = None,
    reason: Search = None,
    item: Items = None,
) -> HTMLResponse:
    """How many items a retry would open again."""
    row = runs.row(tx, ws, run)
    chosen = failure_filter(run, error_class, reason, item)
    counts = runs.would_retry(tx, ws, chosen)
    said = [f"Opens {counted(counts.items, 'failed item')} {in_words(chosen)} again."]
    if counts.items:
        renders = counted(counts.renders, "render")
        said.append(f"Behind them: {renders}, of which those that exist are reused.")
    if counts.permanent:
        said.append(
            f"{counts.permanent:,} of them failed for a reason that trying again does not mend by "
            "itself: mend its cause first."
        )
    refusal = acts.cannot_retry(row) or (None if counts.items else "There is nothing to retry.")
    fields = [("error_class", error_class or ""), ("reason", reason or "")]
    fields += [("item", str(n)) for n in item or ()]
    return _ask(request, row, "retry", "Retry failed items", said, refusal, fields)


@router.post("/runs/{run}/retry")
def retry(
    request: Request,
    tx: Reading,
    ws: Workspace,
    person: Operator,
    start: Starter,
    run: IdPath,
    error_class: Words = "",
    reason: Words = "",
    item: Annotated[list[ItemId] | None, Form(max_length=MOST_ITEMS)] = None,
) -> RedirectResponse:
    """Starts `adloom retry` with what was chosen. Raises NotFoundError where nothing failed so."""
    chosen = failure_filter(run, error_class, reason, item)
    return _done(run, "retry", acts.retry(request, person, tx, ws, start, chosen))


@router.get("/runs/{run}/cancel")
def ask_cancel(
    request: Request, tx: Reading, ws: Workspace, _person: Operator, run: IdPath
) -> HTMLResponse:
    """What cancelling would end."""
    row, counts = runs.row(tx, ws, run), runs.would_cancel(tx, run)
    said = [
        f"Ends {counted(counts.items, 'open item')} as cancelled; what is judged stays as it is.",
        f"Leaves out {counted(counts.renders, 'render')} that no other run needs, "
        f"and {_batches(counts.batches)} that nobody has begun.",
        f"Ends {_batches(counts.under_way)} under way, between two micro-batches.",
    ]
    return _ask(request, row, "cancel", "Cancel the run", said, _ended(row), danger=True)


@router.post("/runs/{run}/cancel")
def cancel(request: Request, env: Env, person: Operator, run: IdPath) -> RedirectResponse:
    """Cancels a run. Raises ConflictError for one that has ended."""
    return _done(run, "cancel", acts.cancel(request, person, env, run).items)


@router.get("/runs/{run}/pause")
def ask_pause(
    request: Request, tx: Reading, ws: Workspace, _person: Operator, run: IdPath
) -> HTMLResponse:
    """What pausing would hold back."""
    row, counts = runs.row(tx, ws, run), runs.would_cancel(tx, run)
    said = [
        f"Holds back {_batches(counts.batches)} until the run is resumed.",
        f"Lets {_batches(counts.under_way)} under way go on to the end.",
    ]
    refusal = _ended(row) or ("The run is paused already." if row.paused_at else None)
    return _ask(request, row, "pause", "Pause the run", said, refusal)


@router.post("/runs/{run}/pause")
def pause(
    request: Request, env: Env, tx: Reading, person: Operator, run: IdPath
) -> RedirectResponse:
    """Has a run begin no more batches. Raises ConflictError for one that has ended."""
    return _done(run, "pause", acts.pause(request, person, env, tx, run))


@router.get("/runs/{run}/resume")
def ask_resume(
    request: Request, tx: Reading, ws: Workspace, _person: Operator, run: IdPath
) -> HTMLResponse:
    """What resuming would go on with."""
    row, counts = runs.row(tx, ws, run), runs.would_cancel(tx, run)
    items, waiting = counted(counts.items, "open item"), _batches(counts.batches)
    said = [f"The run goes on with {items} in {waiting}."]
    if not row.is_coordinated:
        said.append("No process carries it out at the moment: one is started.")
    refusal = _ended(row)
    if refusal is None and row.paused_at is None and row.is_coordinated:
        refusal = "The run is under way."
    return _ask(request, row, "resume", "Resume the run", said, refusal)


@router.post("/runs/{run}/resume")
def resume(
    request: Request, env: Env, tx: Reading, person: Operator, start: Starter, run: IdPath
) -> RedirectResponse:
    """Lets a run go on, and has it executed where nobody does. Raises ConflictError for one that
    has ended."""
    done = acts.resume(request, person, env, tx, start, run)
    return _done(run, "start" if done.is_started else "resume", done.items)


def _ask(
    request: Request,
    row: RunRow,
    act: str,
    title: str,
    said: list[str],
    refusal: str | None,
    fields: list[tuple[str, str]] | None = None,
    *,
    danger: bool = False,
) -> HTMLResponse:
    return page(
        request, "confirm.html", title=title, row=row, action=f"/runs/{row.id}/{act}", said=said,
        refusal=refusal, fields=fields or [], danger=danger,
    )  # fmt: skip


def _done(run: int, did: str, items: int) -> RedirectResponse:
    return RedirectResponse(f"/runs/{run}?did={did}&items={items}", status_code=303)


def _batches(n: int) -> str:
    return counted(n, "batch", "batches")


def _ended(row: RunRow) -> str | None:
    return None if row.is_live else f"The run has ended: it is {row.state.value}."
