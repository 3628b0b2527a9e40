"""What becomes of a render once its pixels are there: object, then row, then finishing.

All of it runs on threads, so that the device renders meanwhile: the main thread neither encodes nor
waits for the store or the database.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from adloom.errors import (
    AdloomError,
    ObjectExistsError,
    as_render_error,
    ends_the_work,
)
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.keys import render_key
from adloom.records import Lease, RenderWork, StoredRender
from db.queries import leases
from tasks.environment import Environment
from tasks.finishing import Finisher
from tasks.logs import about, in_context

STORING_THREADS = 4
"""Encoding and putting a 512 px render takes some 0.15 s, and a GPU makes more than ten a second.
Finishing has one thread: its networks are not safe for several."""

_FINISHING = threading.Lock()
"""Nor for two batches, of which one is being finished while the next one renders."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tally:
    """What has become of a batch's renders: those that are stored, with their rows."""

    rendered: int = 0
    adopted: int = 0
    failed: int = 0
    render_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Stored:
    """Of one render: the seconds it took to make (None: it was there already); its finishing."""

    seconds: float | None
    finishing: Future[None]


@dataclass(slots=True)
class RenderOutput:
    """Takes the renders of one leased batch. For use by one thread, which gives and settles.

    A render that cannot be stored is failed with its error class, and the others go on; an outage
    or a lost lease is raised by `settle`.
    """

    env: Environment
    lease: Lease
    device: str
    finisher: Finisher
    storing: Executor
    finishing: Executor
    tally: Tally = field(default_factory=Tally)
    _pending: deque[tuple[RenderWork, Future[_Stored | AdloomError]]] = field(default_factory=deque)

    @classmethod
    @contextmanager
    def open(
        cls, env: Environment, lease: Lease, device: str, finisher: Finisher
    ) -> "Iterator[RenderOutput]":
        """With threads of its own, which have ended their work when the block ends."""
        with (
            ThreadPoolExecutor(1, thread_name_prefix="finish") as finishing,
            ThreadPoolExecutor(STORING_THREADS, thread_name_prefix="store") as storing,
        ):
            yield cls(env, lease, device, finisher, storing, finishing)

    def rendered(self, work: RenderWork, picture: NDArray[np.uint8], seconds: float) -> None:
        with about(render=work.render_id):
            storing = self.storing.submit(in_context(self._store), work, picture, seconds)
        self._pending.append((work, storing))

    def adopted(self, work: RenderWork) -> None:
        """Takes over a render whose object is there, put by a process that then died."""
        with about(render=work.render_id):
            storing = self.storing.submit(in_context(self._adopt), work)
        self._pending.append((work, storing))

    def failed(self, work: RenderWork, error: AdloomError) -> None:
        with self.env.database.transaction() as tx:
            leases.mark_failed(
                tx,
                self.lease,
                work.render_id,
                error_class=error.error_class,
                message=str(error),
                retryable=error.retryable,
            )
        self.tally.failed += 1
        log.warning("render failed", render=work.render_id, error=str(error))

    def settle(self, keep: int = 0) -> None:
        """Waits until at most `keep` renders are not stored, committed and finished."""
        while len(self._pending) > keep:
            work, storing = self._pending.popleft()
            ended = storing.result()
            if isinstance(ended, AdloomError):
                self.failed(work, ended)
                continue
            if ended.seconds is None:
                self.tally.adopted += 1
            else:
                self.tally.rendered += 1
                self.tally.render_seconds += ended.seconds
            ended.finishing.result()

    def _store(
        self, work: RenderWork, picture: NDArray[np.uint8], seconds: float
    ) -> _Stored | AdloomError:
        """Puts and commits a render; what speaks against this one alone is returned."""
        key = render_key(self.env.workspace, work.fingerprint)
        try:
            content = encode(picture, ImageFormat.PNG)
            try:
                self.env.store.put(key, content, content_type=ImageFormat.PNG.media_type)
            except (
                ObjectExistsError
            ):  # another worker, presumed dead, was faster: its object counts
                content = self.env.store.get(key)
                picture = decode(content)
            finishing = self._commit(work, content, picture, {"render_s": seconds})
        except Exception as caught:
            return _of_one_render(caught)
        return _Stored(seconds, finishing)

    def _adopt(self, work: RenderWork) -> _Stored | AdloomError:
        try:
            content = self.env.store.get(render_key(self.env.workspace, work.fingerprint))
            finishing = self._commit(work, content, decode(content), {"adopted": 1.0})
        except Exception as caught:
            return _of_one_render(caught)
        return _Stored(None, finishing)

    def _commit(
        self,
        work: RenderWork,
        content: bytes,
        picture: NDArray[np.uint8],
        timings: dict[str, float],
    ) -> Future[None]:
        """Says in its row that a stored render is there, and hands it to finishing."""
        stored = StoredRender(
            object_key=render_key(self.env.workspace, work.fingerprint),
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            device=self.device,
            timings=timings,
        )
        with self.env.database.transaction() as tx:
            leases.mark_rendered(tx, self.lease, work.render_id, stored)
        return self.finishing.submit(in_context(self._finish), work, picture)

    def _finish(self, work: RenderWork, picture: NDArray[np.uint8]) -> None:
        with _FINISHING:
            self.finisher.finish(
                work.render_id, work.spec, picture, work.finishings, lease=self.lease
            )


def _of_one_render(caught: Exception) -> AdloomError:
    """An error that speaks against one render; raises one that ends the work."""
    error = as_render_error(caught)
    if ends_the_work(error):
        raise error from caught
    return error
