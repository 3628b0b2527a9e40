"""Runs that watch themselves: deadlines and trouble noticed, and told to webhooks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from adloom.deadlines import deadline_after
from adloom.errors import AdloomError
from adloom.records import RunRecord, WatchedRun
from db.engine import Transaction
from db.queries import events
from tasks import webhooks
from tasks.environment import Environment
from tasks.fleet import GPU_POOL
from tasks.leisure import Leisure

log = structlog.get_logger(__name__)

LOOK_S = 10.0
IDLE_S = 600.0
"""A run on which nobody works for so long is in trouble."""
FAILING_SHARE, FAILING_FROM = 0.2, 20
"""So is one of whose renders a fifth failed, once so many have ended."""
LAST_WORD_S = 15.0
"""How long a process that ends waits for its last events to be told."""


def look(env: Environment, run_id: int | None = None) -> int:
    """Notes what is to be told of the live runs that have a webhook, or of one; returns how many
    runs were looked at."""
    now = datetime.now(UTC)
    with env.database.transaction() as tx:
        runs = events.watched(tx, env.workspace_id, pool=GPU_POOL, run_id=run_id)
        for run in runs:
            _note(tx, run, now)
    return len(runs)


def _note(tx: Transaction, run: WatchedRun, now: datetime) -> None:
    shares = {"done_share": round(run.done_share, 4), "done": run.done, "failed": run.failed}
    deadline = run.spec.deadline
    if deadline is not None and now >= deadline_after(deadline, run.created_at):
        events.add(tx, run.run_id, "deadline", "", text=_standing(run, deadline), **shares)
    if run.idle_s > IDLE_S and not run.is_paused:
        said = f"run {run.run_id}: nobody has worked on it for {run.idle_s / 60:.0f} minutes"
        events.add(tx, run.run_id, "run.no_workers", None, text=said, **shares)
    if run.failed + run.done >= FAILING_FROM and run.failed_share > FAILING_SHARE:
        said = f"run {run.run_id}: {run.failed_share:.0%} of what has ended has failed"
        events.add(tx, run.run_id, "run.failing", None, text=said, **shares)


def _standing(run: WatchedRun, deadline: str) -> str:
    clock = f"at {deadline}" if ":" in deadline else f"after {deadline}"
    return (
        f"{clock} run {run.run_id} of {run.spec.slug} is {100 * run.done_share:.0f} % done: "
        f"{run.done} of {run.items} creatives, {run.failed} failed"
    )


@contextmanager
def watched(env: Environment, run: RunRecord) -> Iterator[None]:
    """Looks at a run, and tells its webhook, from a thread of its own while the block goes on, and
    once more at its end: what cannot be told then is told by the next process that can."""
    if run.spec.webhook is None:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(env, run.id, done), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(LAST_WORD_S)


def _watch(env: Environment, run_id: int, done: threading.Event) -> None:
    ended, leisure = False, Leisure(LOOK_S)
    while not ended:
        ended = done.wait(LOOK_S)
        try:
            if ended or leisure.is_due:
                with leisure.look():
                    look(env, run_id)
            webhooks.deliver(env)
        except AdloomError as error:
            log.warning("a run's webhook has to wait", run=run_id, error=str(error))
