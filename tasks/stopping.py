"""Asking work under way to stop: looked at between micro-batches, and while it waits for its turn.

A process that stops, or somebody who cancels one flow run, says so here; what the work held is
handed back, and no attempt is counted.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

from adloom.errors import HandedBackError


class StopReason(StrEnum):
    DRAINING = "its worker stops"
    CANCELLED = "its flow run was cancelled"
    REPLACED = "its worker is replaced"


class Stop:
    """A request to stop, from whichever thread; the first reason counts.

    Asked gently, what has begun to render goes on to its end.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._reason: StopReason | None = None
        self._at_once = False

    @property
    def reason(self) -> StopReason | None:
        return self._reason

    def request(self, reason: StopReason, *, gently: bool) -> None:
        self._reason = self._reason or reason
        self._at_once = self._at_once or not gently
        self._asked.set()

    def check(self) -> None:
        """Raises HandedBackError once somebody has asked, whichever way: for what has not begun, or
        may end at any moment."""
        if self._reason is not None:
            raise HandedBackError(f"handed back: {self._reason.value}")

    def check_begun(self) -> None:
        """The same for what renders: not when it was asked gently."""
        if self._at_once:
            self.check()

    def wait(self, seconds: float) -> None:
        """Waits, at most until somebody asks."""
        self._asked.wait(seconds)


_current: ContextVar[Stop | None] = ContextVar("stop", default=None)


def current() -> Stop:
    """The request that concerns the work in this context; one that nobody makes if there is none.

    Threads started by `asyncio.to_thread` see that of the flow which started them.
    """
    return _current.get() or Stop()


@contextmanager
def heeded(stop: Stop) -> Iterator[Stop]:
    """Has the work within the block stop when `stop` is asked for."""
    token = _current.set(stop)
    try:
        yield stop
    finally:
        _current.reset(token)
