"""One look a second at the runs, for all who watch them: figures kept up to date, changes noted.

However many pages are open, the database is asked once.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass

import structlog
from fastapi import Request
from pydantic_core import to_json

from adloom.catalog import Price
from adloom.errors import AdloomError
from dashboard.context import dashboard_of
from dashboard.run_view import RunView, run_view
from db.queries import figures as queries
from db.queries.dashboard import runs
from tasks import figures
from tasks.environment import Environment

EVERY_S = 1.0
LOOK_S = 0.5
ALIVE_S = 15.0
NEWEST = 100
"""So many of the newest runs are watched."""
_LOG = structlog.get_logger("dashboard")


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as it was last seen, since the look of that number."""

    look: int
    view: RunView


class RunWatch:
    """Looks at the runs in a thread of its own, from `start` to `stop`."""

    def __init__(self, environment: Environment, *, per_hour: Price | None = None) -> None:
        self._env, self._per_hour = environment, per_hour
        self._seen: dict[int, Seen] = {}
        self._asked: set[int] = set()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._look = 0
        self._last_review: int | None = None
        self.trouble: str | None = None
        """Why the last look failed."""

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="run-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def ask(self, run_id: int) -> None:
        """Has a run measured at the next look, because somebody looks at it."""
        with self._lock:
            self._asked.add(run_id)

    def look(self) -> None:
        """Measures what is to be measured, and notes the runs that changed. Raises AdloomError."""
        with self._lock:
            asked, self._asked = self._asked, set()
        figures.keep_up(self._env, {*asked, *self._reviewed()})
        with self._env.database.transaction() as tx:
            rows = runs.page(tx, self._env.workspace_id, limit=NEWEST)
        views = {row.id: run_view(row, self._per_hour) for row in rows}
        with self._lock:
            self._look += 1
            before = self._seen
            self._seen = {
                run_id: before[run_id]
                if run_id in before and _same(before[run_id].view, view)
                else Seen(self._look, view)
                for run_id, view in views.items()
            }

    def _reviewed(self) -> tuple[int, ...]:
        """The runs on whose images people said something since the last look."""
        with self._env.database.transaction() as tx:
            if self._last_review is None:
                self._last_review = queries.newest_review(tx)
            last, changed = queries.reviewed_since(tx, self._env.workspace_id, self._last_review)
        self._last_review = last
        return changed

    def changed_since(self, look: int, run_id: int | None = None) -> tuple[int, list[RunView]]:
        """The last look's number, and the runs that changed after the look of that number."""
        with self._lock:
            found = [s.view for n, s in self._seen.items() if s.look > look and run_id in (None, n)]
            return self._look, found

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
                self.trouble = None
            except AdloomError as error:
                if self.trouble is None:
                    _LOG.warning("the runs cannot be read", error=str(error))
                self.trouble = "The database does not answer."
            except Exception as error:
                _LOG.error("the runs cannot be read", exc_info=error)
                self.trouble = "The runs cannot be read; the dashboard's log says why."
            self._ended.wait(EVERY_S)


def _same(before: RunView, now: RunView) -> bool:
    """Whether nothing changed that is shown, but when it was measured."""
    return {**asdict(before), "measured_at": ""} == {**asdict(now), "measured_at": ""}


def watch_of(request: Request) -> RunWatch:
    """The server's watch; one that nobody started where the server has no lifespan."""
    state, given = request.app.state, dashboard_of(request)
    if not hasattr(state, "run_watch"):
        state.run_watch = RunWatch(given.environment, per_hour=given.gpu_hour_price)
    return state.run_watch


async def events(
    watch: RunWatch,
    is_gone: Callable[[], Awaitable[bool]],
    check: Callable[[], str | None],
    *,
    run_id: int | None = None,
    check_s: float = 60.0,
) -> AsyncIterator[str]:
    """Server-sent events of the runs that changed, as a JSON list; `trouble` while they cannot be
    read. Ends with `end` once `check`, called every `check_s` in a thread, says why.

    `is_gone` says, awaited, whether the reader has left.
    """
    look, said_at, checked_at, trouble = 0, time.monotonic(), time.monotonic(), None
    is_new = True  # who came, or was told of trouble, is told in any case
    yield "retry: 2000\n\n"
    while not await is_gone():
        now = time.monotonic()
        if now - checked_at >= check_s:
            checked_at = now
            if (ended := await asyncio.to_thread(check)) is not None:
                yield f"event: end\ndata: {_json({'message': ended})}\n\n"
                return
        event = None
        if watch.trouble != trouble:
            trouble = watch.trouble
            event = f"event: trouble\ndata: {_json({'message': trouble})}\n\n" if trouble else None
            is_new = True
        if not trouble:
            look, changed = watch.changed_since(0 if is_new else look, run_id)
            if changed or is_new:
                event = f"data: {_json([asdict(v) for v in changed])}\n\n"
            is_new = False
        if event is not None:
            said_at = now
            yield event
        elif now - said_at > ALIVE_S:
            said_at = now
            yield ": alive\n\n"
        await asyncio.sleep(LOOK_S)


def _json(value: object) -> str:
    return to_json(value).decode()
