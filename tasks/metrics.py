"""The fleet in numbers, asked of Postgres when somebody looks, never more often than is cheap.

Each subject is a query of its own: one that takes too long is left out and the others are shown. An
answer is kept for `FRESH_S`, or twenty times as long as it took: however many look, and however
large the tables grow, metrics take at most a twentieth of one connection.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog

from adloom.errors import DatabaseUnavailableError
from adloom.records import WorkerRecord
from adloom.records.metrics import (
    CompletedRun,
    EndedAttempts,
    QueueDepth,
    RenderCounts,
    RunCounts,
)
from adloom.states import AttemptEnding
from db.engine import Transaction
from db.errors import TransactionAbortedError
from db.queries import metrics, workers
from tasks.environment import Environment

log = structlog.get_logger(__name__)

FRESH_S = 4.0
REVIEWED_S = 300.0
"""Completed runs change by reviews alone: they are counted again after this long."""
_SHARE = 20.0
_TIMEOUT_S = 3.0
_WORKERS_KEPT_S = 3600.0
"""A worker that fell silent is shown as lost so long."""

Answer = TypeVar("Answer")


class Remembered(Generic[Answer]):
    """A query's answer, kept while it is fresh; None when it took too long."""

    def __init__(
        self,
        ask: Callable[[Transaction], Answer],
        *,
        fresh_s: float = FRESH_S,
        timeout_s: float = _TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._fresh_s, self._timeout_s, self._clock = ask, fresh_s, timeout_s, clock
        self._answer: Answer | None = None
        self._again_at = float("-inf")
        self.took_s = 0.0

    def get(self, env: Environment) -> Answer | None:
        """Raises DatabaseUnavailableError."""
        began = self._clock()
        if began < self._again_at:
            return self._answer
        self._answer = None
        try:
            with env.database.transaction() as tx:
                metrics.limit_time(tx, self._timeout_s)
                self._answer = self._ask(tx)
        except TransactionAbortedError as error:
            log.warning("a metric cannot be had", error=str(error))
        self.took_s = self._clock() - began
        self._again_at = began + max(self._fresh_s, _SHARE * self.took_s)
        return self._answer


class AttemptsEver:
    """Ended attempts, counted from the first on: all of them once, then what has ended since."""

    def __init__(self, workspace_id: int) -> None:
        self._ws = workspace_id
        self._until: datetime | None = None
        self._counts: Counter[tuple[AttemptEnding, str]] = Counter()

    def __call__(self, tx: Transaction) -> tuple[EndedAttempts, ...]:
        until = metrics.settled(tx)
        for one in metrics.ended_attempts(tx, self._ws, since=self._until, until=until):
            self._counts[one.ending, one.error_class] += one.attempts
        self._until = until
        return tuple(EndedAttempts(*key, n) for key, n in sorted(self._counts.items()))


@dataclass(frozen=True, slots=True)
class CampaignCounts:
    """A campaign's newest completed run."""

    run: CompletedRun
    counts: RunCounts


class CampaignsCompleted:
    """Each campaign's newest completed run with its items, which are counted once a run."""

    def __init__(self, workspace_id: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ws, self._clock = workspace_id, clock
        self._known: dict[int, tuple[float, RunCounts]] = {}

    def __call__(self, tx: Transaction) -> tuple[CampaignCounts, ...]:
        completed, now = metrics.completed(tx, self._ws), self._clock()
        fresh = {n for n, (at, _) in self._known.items() if now - at < REVIEWED_S}
        missing = [c.run_id for c in completed if c.run_id not in fresh]
        found = {c.run_id: (now, c) for c in metrics.counts_of(tx, self._ws, missing)}
        there = {c.run_id for c in completed}
        self._known = {n: kept for n, kept in (self._known | found).items() if n in there}
        return tuple(CampaignCounts(c, self._known[c.run_id][1]) for c in completed)


@dataclass(frozen=True, slots=True)
class Fleet:
    """One look at the fleet. What could not be had is None; `seconds` is what each query took.
    `answers`: whether the database does."""

    answers: bool
    workers: tuple[WorkerRecord, ...] | None
    queue: tuple[QueueDepth, ...] | None
    renders: RenderCounts | None
    attempts: tuple[EndedAttempts, ...] | None
    runs: tuple[RunCounts, ...] | None
    campaigns: tuple[CampaignCounts, ...] | None
    seconds: dict[str, float]


class FleetWatch:
    """Looks at the fleet of one workspace. For several threads."""

    def __init__(self, env: Environment) -> None:
        ws = env.workspace_id
        self._env, self._lock = env, threading.Lock()
        self._asked: dict[str, Remembered[Any]] = {
            "workers": Remembered(lambda tx: workers.listed(tx, ws, within_s=_WORKERS_KEPT_S)),
            "queue": Remembered(lambda tx: metrics.queue(tx, ws)),
            "renders": Remembered(lambda tx: metrics.renders(tx, ws), fresh_s=15.0),
            # All that ever ended, once: it may take longer than what is asked again and again.
            "attempts": Remembered(AttemptsEver(ws), timeout_s=10 * _TIMEOUT_S),
            "runs": Remembered(lambda tx: metrics.live_runs(tx, ws)),
            "campaigns": Remembered(CampaignsCompleted(ws)),
        }

    def look(self) -> Fleet:
        """Raises no error for a database that is away: nothing is known then."""
        found: dict[str, Any] = dict.fromkeys(self._asked)
        with self._lock:
            try:
                for subject, asked in self._asked.items():
                    found[subject] = asked.get(self._env)
            except DatabaseUnavailableError as error:
                log.warning("no metrics: the database does not answer", error=str(error))
                return Fleet(False, **dict.fromkeys(self._asked), seconds={})
            return Fleet(True, **found, seconds={s: a.took_s for s, a in self._asked.items()})
