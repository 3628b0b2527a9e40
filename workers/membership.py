"""A worker's row: registered at its start, kept alive by a thread, stopped at its end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog

from adloom import __version__
from adloom.errors import AdloomError
from adloom.records import WorkerRecord
from adloom.states import WorkerState
from db.queries import reaping, submissions, workers
from tasks.environment import Environment
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

    Whatever the process before it under the same name still held is handed back first: that one
    has ended, since a name belongs to one supervisor. `stats` is asked at each beat. When another
    process has taken the name nevertheless, `on_displaced` is called, once and in a thread.
    """

    def __init__(
        self,
        env: Environment,
        place: Place,
        stats: Callable[[], dict[str, Any]],
        on_displaced: Callable[[], object] = lambda: None,
    ) -> None:
        self._env, self._place, self._stats = env, place, stats
        self._on_displaced = on_displaced
        self.displaced = False
        self._state = WorkerState.WORKING
        self._every_s = env.rendering.lease_s / 3
        self._ended = threading.Event()
        self._now = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="membership", daemon=True)

    def __enter__(self) -> Self:
        Outlasting(is_outage, OUTAGE_S)(self._register)
        self._thread.start()
        return self

    def _register(self) -> None:
        env, place = self._env, self._place
        record = WorkerRecord(
            place.name, env.owner, place.pool, place.host, place.pid, place.device, __version__
        )
        with env.database.transaction() as tx:
            before, freed = workers.bearer(tx, env.workspace_id, place.name), 0
            if before is not None and before != env.owner:
                freed = reaping.hand_back_of(tx, env.workspace_id, before)
                submissions.withdraw_taken(tx, env.workspace_id, before)
            workers.register(tx, env.workspace_id, record, env.rendering.lease_s)
        if freed:
            log.warning("batches of the process before are handed back", batches=freed)

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
                    ours = workers.beat(
                        tx,
                        self._env.workspace_id,
                        self._env.owner,
                        state=self._state,
                        stats=self._stats(),
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
