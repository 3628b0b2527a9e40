"""A worker's row: registered at its start, kept alive by a thread, stopped at its end."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog

from adloom.errors import AdloomError
from adloom.fleet_builds import (
    CLOCK_TOLERATED_S,
    Build,
    described,
    require_clock,
    require_same_renderer,
)
from adloom.records import WorkerRecord
from adloom.states import WorkerState
from db.engine import Transaction
from db.queries import clock, reaping, submissions, workers
from tasks.environment import Environment
from tasks.logs import in_context
from tasks.patience import OUTAGE_S, Outlasting, is_outage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker works."""

    name: str
    pool: str
    host: str
    pid: int
    device: str


class Membership:
    """Makes the process a member of the fleet for the duration of the block.

    Raises ConfigurationError if it may not be one: it renders with another version than the living
    members, or its clock is too far off Postgres'.

    Whatever the process before it under the same name still held is handed back first: that one
    has ended, since a name belongs to one supervisor. `stats` is asked at each beat. When another
    process has taken the name nevertheless, `on_displaced` is called, once and in a thread.
    """

    def __init__(
        self,
        env: Environment,
        place: Place,
        build: Build,
        stats: Callable[[], dict[str, Any]],
        on_displaced: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._env, self._place, self._build, self._stats = env, place, build, stats
        self._on_displaced, self._now_s = on_displaced, now
        self.displaced = False
        self._state = WorkerState.WORKING
        self._every_s = env.rendering.lease_s / 3
        self._ended = threading.Event()
        self._now = threading.Event()
        self._thread = threading.Thread(
            target=in_context(self._beat), name="membership", daemon=True
        )

    def __enter__(self) -> Self:
        Outlasting(is_outage, OUTAGE_S)(self._register)
        self._thread.start()
        return self

    def _register(self) -> None:
        env, place = self._env, self._place
        record = WorkerRecord(
            place.name,
            env.owner,
            place.pool,
            place.host,
            place.pid,
            place.device,
            self._build.adloom,
            stats={"build": self._build.to_json()},
        )
        with env.database.transaction() as tx:
            self._require_admission(tx)
            before, freed = workers.bearer(tx, env.workspace_id, place.name), 0
            if before is not None and before != env.owner:
                freed = reaping.hand_back_of(tx, env.workspace_id, before)
                submissions.withdraw_taken(tx, env.workspace_id, before)
            workers.register(tx, env.workspace_id, record, env.rendering.lease_s)
        if freed:
            log.warning("batches of the process before are handed back", batches=freed)

    def _require_admission(self, tx: Transaction) -> None:
        workers.admit_one_at_a_time(tx, self._env.workspace_id)
        there = workers.listed(tx, self._env.workspace_id)
        require_same_renderer(self._build, [w for w in there if w.name != self._place.name])
        skew_s = clock.skew_s(tx, clock=self._now_s)
        require_clock(skew_s)
        if abs(skew_s) > CLOCK_TOLERATED_S:
            log.warning(f"this machine's clock is {described(skew_s)} Postgres'; set it by NTP")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.say(WorkerState.STOPPED)
        self._ended.set()
        self._now.set()
        self._thread.join(timeout=10.0)

    def say(self, state: WorkerState) -> None:
        """Notes a change of state at once."""
        self._state = state
        self._now.set()

    def _beat(self) -> None:
        while True:
            last = self._ended.is_set()
            try:
                with self._env.database.transaction() as tx:
                    skew_s = clock.skew_s(tx, tries=2, clock=self._now_s)
                    ours = workers.beat(
                        tx,
                        self._env.workspace_id,
                        self._env.owner,
                        state=self._state,
                        stats={
                            **self._stats(),
                            "build": self._build.to_json(),
                            "clock_skew_s": round(skew_s, 3),
                        },
                        ttl_s=self._env.rendering.lease_s,
                    )
            except AdloomError as error:
                log.warning("heartbeat of the worker failed", error=str(error))
            else:
                if not ours and not self.displaced:
                    self.displaced = True
                    log.error("another process works under this worker's name; this one ends",
                              name=self._place.name)  # fmt: skip
                    self._on_displaced()
            if last:
                return
            self._now.wait(self._every_s)
            self._now.clear()
