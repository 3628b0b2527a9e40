"""Acts on runs as pages and API share them: done, noted in the audit log, and their effect told."""

from dataclasses import dataclass

from fastapi import Request

from adloom.errors import ConflictError, NotFoundError
from adloom.records import CancelCounts, FailureFilter, Person
from adloom.run_figures import RunRow
from dashboard.access import audit
from dashboard.commands import Start
from dashboard.run_choice import in_words, retry_arguments
from dashboard.run_watch import watch_of
from db.engine import Transaction
from db.queries.dashboard import runs
from tasks import runs as tasks
from tasks.environment import Environment


@dataclass(frozen=True, slots=True)
class Resumed:
    """`is_started`: nobody carried the run out, and a process was started that does."""

    items: int
    is_started: bool


def cannot_retry(row: RunRow) -> str | None:
    if row.is_live and row.is_coordinated:
        return "The run is being carried out: wait for its end, then retry what failed."
    return None


def retry(
    request: Request, person: Person, tx: Transaction, ws: int, start: Start, chosen: FailureFilter
) -> int:
    """Starts `adloom retry` with what was chosen of one run; how many items that opens.

    Raises NotFoundError where nothing failed so, ConflictError while the run is carried out.
    """
    assert chosen.run_id is not None
    row, counts = runs.row(tx, ws, chosen.run_id), runs.would_retry(tx, ws, chosen)
    if refusal := cannot_retry(row):
        raise ConflictError(refusal)
    if not counts.items:
        raise NotFoundError(f"no failed item {in_words(chosen)}", hint="look at its failures")
    log = start(retry_arguments(chosen))
    audit(
        request, person, act="run.retry", subject=f"run {row.id}",
        details={
            "items": counts.items, "error_class": chosen.error_class, "reason": chosen.reason,
            "chosen": list(chosen.run_item_ids or ()), "log": log,
        },
    )  # fmt: skip
    watch_of(request).ask(row.id)
    return counts.items


def cancel(request: Request, person: Person, env: Environment, run: int) -> CancelCounts:
    """Cancels a run. Raises NotFoundError, ConflictError for one that has ended."""
    if tasks.has_ended(env, run):
        raise ConflictError(f"run {run} has ended", hint="there is nothing to cancel")
    done = tasks.cancel(env, run)
    audit(
        request, person, act="run.cancel", subject=f"run {run}",
        details={"items": done.items, "renders": done.renders, "batches": done.batches},
    )  # fmt: skip
    watch_of(request).ask(run)
    return done


def pause(request: Request, person: Person, env: Environment, tx: Transaction, run: int) -> int:
    """Has a run begin no more batches; how many are under way and end.

    Raises NotFoundError, ConflictError for a run that has ended.
    """
    tasks.pause(env, run)
    under_way = runs.would_cancel(tx, run).under_way
    audit(request, person, act="run.pause", subject=f"run {run}", details={"under_way": under_way})
    watch_of(request).ask(run)
    return under_way


def resume(
    request: Request, person: Person, env: Environment, tx: Transaction, start: Start, run: int
) -> Resumed:
    """Lets a run go on, and has it executed where nobody does.

    Raises NotFoundError, ConflictError for a run that has ended.
    """
    held = tasks.go_on(env, run)
    log = None if held else start(["run", tasks.require_run(env, run).campaign])
    items = runs.would_cancel(tx, run).items
    audit(
        request, person, act="run.resume", subject=f"run {run}", details={"open": items, "log": log}
    )
    watch_of(request).ask(run)
    return Resumed(items, is_started=not held)
