"""A batch: leased, rendered in micro-batches, each put, committed, finished and scored.

Finishing, scoring and storing one micro-batch overlap the rendering of the next.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import structlog
from numpy.typing import NDArray

from adloom.errors import (
    AdloomError,
    ConflictError,
    DatabaseUnavailableError,
    LeaseLostError,
    ObjectExistsError,
    as_render_error,
)
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.keys import render_key
from adloom.records import Lease, RenderWork, StoredRender
from adloom.render_spec import RenderSpec
from db.queries import batches, leases
from tasks import resident
from tasks.environment import Environment
from tasks.finishing import Finisher
from tasks.heartbeat import Heartbeat
from tasks.pictures import ProductPictures
from tasks.rendering import RawRender, micro_batches, render

log = structlog.get_logger(__name__)
RETRY_BATCH_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one batch did; `adopted` renders were stored already, by a process that then died."""

    batch_id: int
    rendered: int = 0
    adopted: int = 0
    failed: int = 0
    seconds: float = 0.0
    render_seconds: float = 0.0


def generate(
    env: Environment,
    batch_id: int,
    *,
    model: str,
    flow_run_id: str | None = None,
    on_progress: Callable[[BatchReport], None] = lambda _: None,
) -> BatchReport:
    """Renders what is left of a batch. Raises ConflictError if another worker holds it.

    A render that cannot be made is failed with its error class and the batch goes on. If the
    database or the store go away, or the lease is lost, the batch is left to whoever claims it.
    """
    with env.database.transaction() as tx:
        lease = leases.claim(tx, batch_id, env.owner, env.rendering.lease_s)
        if lease is not None and flow_run_id is not None:
            batches.set_flow_run(tx, batch_id, flow_run_id)
    if lease is None:
        raise ConflictError(f"batch {batch_id} is held by another worker or has ended")

    def beat(held: Lease) -> Lease:
        with env.database.transaction() as tx:
            return leases.heartbeat(tx, held, env.rendering.lease_s)

    started = time.perf_counter()
    with Heartbeat(lease, beat, every_s=env.rendering.lease_s / 3) as heartbeat:
        try:
            report = _Batch(env, lease, model, heartbeat, on_progress).run()
        except LeaseLostError:
            raise
        except AdloomError as error:
            _give_up(env, lease, error)
            raise
        except Exception as error:
            unexpected = as_render_error(error)
            _give_up(env, lease, unexpected)
            raise unexpected from error
    with env.database.transaction() as tx:
        leases.finish(tx, lease)
    return replace(report, seconds=time.perf_counter() - started)


def _give_up(env: Environment, lease: Lease, error: AdloomError) -> None:
    """Hands a batch back if trying again can help, else fails it with the error.

    A fault of the installation is no fault of the batch and counts as no attempt.
    """
    with suppress(DatabaseUnavailableError), env.database.transaction() as tx:
        if error.of_installation:
            leases.release(tx, lease, counts=False)
        elif error.retryable and batches.get(tx, lease.batch_id).attempts < RETRY_BATCH_ATTEMPTS:
            leases.release(tx, lease)
        else:
            leases.fail(
                tx,
                lease,
                error_class=error.error_class,
                message=str(error),
                retryable=error.retryable,
            )


class _Batch:
    """The work on one leased batch."""

    def __init__(
        self,
        env: Environment,
        lease: Lease,
        model: str,
        heartbeat: Heartbeat[Lease],
        on_progress: Callable[[BatchReport], None],
    ) -> None:
        self.env, self.lease, self.heartbeat = env, lease, heartbeat
        self.on_progress = on_progress
        self.renderer = resident.renderer(model, env.rendering)
        self.pictures = ProductPictures(env.store, env.workspace)
        self.finisher = Finisher.of(env, model)
        self.report = BatchReport(lease.batch_id)
        self._pending: list[Future[None]] = []

    def run(self) -> BatchReport:
        with ThreadPoolExecutor(1, thread_name_prefix="finish") as finishing:
            todo = self._adopt(self._work(), finishing)
            by_spec = {w.spec: w for w in todo}
            for specs in micro_batches(list(by_spec), self.env.rendering.micro_batch):
                self.heartbeat.check()
                alive = {w.spec for w in self._work()}  # what was cancelled meanwhile has vanished
                wanted = [by_spec[s] for s in specs if s in alive]
                if wanted:
                    self._make(wanted, finishing)
                self._settle(keep=1)
                self.on_progress(self.report)
            self._settle(keep=0)
        return self.report

    def _work(self) -> tuple[RenderWork, ...]:
        with self.env.database.transaction() as tx:
            return leases.work(tx, self.lease)

    def _adopt(self, work: Sequence[RenderWork], finishing: ThreadPoolExecutor) -> list[RenderWork]:
        """Takes over renders whose object is stored already; returns what is still to be made."""
        todo: list[RenderWork] = []
        for item in work:
            key = render_key(self.env.workspace, item.fingerprint)
            if self.env.store.head(key) is None:
                todo.append(item)
                continue
            try:
                content = self.env.store.get(key)
                picture = decode(content)
            except AdloomError as error:
                if error.retryable or error.of_installation:
                    raise
                self._fail(item, error)
                self.report = replace(self.report, failed=self.report.failed + 1)
                continue
            self._commit(item, content, picture, {"adopted": 1.0}, finishing)
            self.report = replace(self.report, adopted=self.report.adopted + 1)
        return todo

    def _make(self, work: list[RenderWork], finishing: ThreadPoolExecutor) -> None:
        specs = [w.spec for w in work]
        for item, made in zip(work, self._rendered(specs, work), strict=True):
            if made is None:
                self.report = replace(self.report, failed=self.report.failed + 1)
                continue
            content = encode(made.picture, ImageFormat.PNG)
            self._commit(item, content, made.picture, {"render_s": made.seconds}, finishing)
            self.report = replace(
                self.report,
                rendered=self.report.rendered + 1,
                render_seconds=self.report.render_seconds + made.seconds,
            )

    def _rendered(self, specs: list[RenderSpec], work: list[RenderWork]) -> list[RawRender | None]:
        """The pictures of a micro-batch; what cannot be made alone is failed by itself (None)."""
        try:
            return list(render(specs, self.renderer, self.pictures))
        except Exception as caught:
            error = as_render_error(caught)
            if error.retryable or error.of_installation:
                raise error from caught
            if len(specs) > 1:
                alone = [self._rendered([s], [w]) for s, w in zip(specs, work, strict=True)]
                return [made for one in alone for made in one]
            self._fail(work[0], error)
            return [None]

    def _fail(self, item: RenderWork, error: AdloomError) -> None:
        with self.env.database.transaction() as tx:
            leases.mark_failed(
                tx,
                self.lease,
                item.render_id,
                error_class=error.error_class,
                message=str(error),
                retryable=error.retryable,
            )
        log.warning("render failed", render=item.render_id, error=str(error))

    def _commit(
        self,
        item: RenderWork,
        content: bytes,
        picture: NDArray[np.uint8],
        timings: dict[str, float],
        finishing: ThreadPoolExecutor,
    ) -> None:
        """Object before row: puts the render, says so in its row, hands it to finishing."""
        key = render_key(self.env.workspace, item.fingerprint)
        try:
            self.env.store.put(key, content, content_type=ImageFormat.PNG.media_type)
        except ObjectExistsError:  # another worker, presumed dead, was faster: its object counts
            content = self.env.store.get(key)
            picture = decode(content)
        stored = StoredRender(
            object_key=key,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            device=self.renderer.device,
            timings=timings,
        )
        with self.env.database.transaction() as tx:
            leases.mark_rendered(tx, self.lease, item.render_id, stored)
        self._pending.append(
            finishing.submit(
                self.finisher.finish,
                item.render_id,
                item.spec,
                picture,
                item.finishings,
                lease=self.lease,
            )
        )

    def _settle(self, keep: int) -> None:
        """Waits until finishing lags by at most `keep` micro-batches; raises what it raised."""
        allowed = keep * self.env.rendering.micro_batch
        while len(self._pending) > allowed:
            self._pending.pop(0).result()
