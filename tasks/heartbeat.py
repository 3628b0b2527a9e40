"""A lease kept alive by a thread of its own while work goes on."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import structlog

from adloom.errors import AdloomError, LeaseLostError
from tasks.logs import in_context

Held = TypeVar("Held")
log = structlog.get_logger(__name__)


class Heartbeat(Generic[Held]):
    """Renews a lease every `every_s` seconds until the block ends.

    A failed beat is logged and tried again at the next one, since a lease lasts several beats. If
    the lease is lost, `check` raises; every write is fenced by the lease's epoch anyway.
    """

    def __init__(self, lease: Held, beat: Callable[[Held], Held], *, every_s: float) -> None:
        self.lease = lease
        self._beat = beat
        self._every_s = every_s
        self._stop = threading.Event()
        self._lost: LeaseLostError | None = None
        self._thread = threading.Thread(target=in_context(self._run), name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises LeaseLostError if another worker holds the lease by now."""
        if self._lost is not None:
            raise self._lost

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.lease = self._beat(self.lease)
            except LeaseLostError as error:
                self._lost = error
                return
            except AdloomError as error:
                log.warning("heartbeat failed", error=str(error))
