"""A batch: leased, rendered in micro-batches, each put, committed, finished and scored.

Three things go on at once: photos are fetched for what comes next, the device renders, and what it
rendered is encoded, stored, committed, finished and scored (`render_output`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from adloom.errors import (
    AdloomError,
    ConflictError,
    DatabaseUnavailableError,
    DeviceError,
    HandedBackError,
    LeaseLostError,
    as_render_error,
    ends_the_work,
)
from adloom.keys import render_key
from adloom.records import Lease, RenderWork
from adloom.states import AttemptEnding
from db.queries import batches, leases
from tasks import resident, stopping
from tasks.ahead import ahead
from tasks.device import DeviceHold, device
from tasks.environment import Environment
from tasks.finishing import Finisher
from tasks.heartbeat import Heartbeat
from tasks.logs import about
from tasks.patience import IN_BATCH_S, Outlasting, is_database_outage
from tasks.preparing import PreparedBatch, let_go_unless_begun, prepare
from tasks.render_output import RenderOutput
from tasks.rendering import SpecItems

if TYPE_CHECKING:
    from models.refadgen.render_items import RenderItem

RETRY_BATCH_ATTEMPTS = 3
_FRESH_S = 0.2
"""What is left of a batch is asked for between micro-batches; the first begins with what was asked
for so shortly before."""


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
    stop = stopping.current()
    db = Outlasting(is_database_outage, IN_BATCH_S)
    with about(batch=batch_id), ExitStack() as turns:
        with let_go_unless_begun(env, batch_id):
            prepared = db(prepare, env, batch_id, model, flow_run_id)
            started = time.perf_counter()
            turn = turns.enter_context(device().held(stop))
            lease, work = db(_claimed, env, batch_id, flow_run_id)
        with Heartbeat(lease, _beat(env), every_s=env.rendering.lease_s / 3) as heartbeat:
            # What was absent before an outage may be stored since, by this very process.
            known = iter([(prepared, work)])

            def render_what_is_left() -> BatchReport:
                ready, asked = next(known, (replace(prepared, absent=frozenset()), None))
                return _Batch(env, lease, model, heartbeat, on_progress, ready, turn).run(asked)

            try:
                with about(run=lease.run_id):
                    report = db(render_what_is_left)
                db(_finish, env, lease)
            except LeaseLostError:
                raise
            except Exception as caught:
                error = as_render_error(caught)
                _give_up(env, lease, error)
                if error is caught:
                    raise
                raise error from caught
    return replace(report, seconds=time.perf_counter() - started)


def _claimed(
    env: Environment, batch_id: int, flow_run_id: str | None
) -> tuple[Lease, tuple[RenderWork, ...]]:
    """The batch's lease and its work, in one transaction: the device waits meanwhile."""
    with env.database.transaction() as tx:
        ttl_s = env.rendering.lease_s
        lease = leases.claim(
            tx, batch_id, env.owner, ttl_s, worker=env.worker or None, grace_s=ttl_s
        )
        if lease is not None:
            if flow_run_id is not None:
                batches.set_flow_run(tx, batch_id, flow_run_id)
            return lease, leases.work(tx, lease)
    raise ConflictError(f"batch {batch_id} is held by another worker or has ended")


def _beat(env: Environment) -> Callable[[Lease], Lease]:
    def beat(held: Lease) -> Lease:
        with env.database.transaction() as tx:
            return leases.heartbeat(tx, held, env.rendering.lease_s)

    return beat


def _finish(env: Environment, lease: Lease) -> None:
    with env.database.transaction() as tx:
        leases.finish(tx, lease)


def _give_up(env: Environment, lease: Lease, error: AdloomError) -> None:
    """Hands a batch back if trying again can help, else fails it with the error.

    A fault of the installation is no fault of the batch and counts as no attempt.
    """
    with suppress(DatabaseUnavailableError), env.database.transaction() as tx:
        if isinstance(error, DeviceError):
            leases.release(tx, lease, ending=AttemptEnding.CRASHED, error=error)
        elif error.of_installation or isinstance(error, HandedBackError):
            leases.release(tx, lease, ending=AttemptEnding.DRAINED, error=error)
        elif error.retryable and batches.get(tx, lease.batch_id).attempts < RETRY_BATCH_ATTEMPTS:
            leases.release(tx, lease, error=error)
        else:
            leases.fail(tx, lease, error)


class _Batch:
    """The work on one leased batch: fetched ahead, rendered, handed to the output's threads."""

    def __init__(
        self,
        env: Environment,
        lease: Lease,
        model: str,
        heartbeat: Heartbeat[Lease],
        on_progress: Callable[[BatchReport], None],
        prepared: PreparedBatch,
        turn: DeviceHold,
    ) -> None:
        self.env, self.lease, self.heartbeat = env, lease, heartbeat
        self.on_progress = on_progress
        self.absent, self.turn = prepared.absent_at(lease.epoch), turn
        self.stop = stopping.current()
        self.fresh_until = time.monotonic() + _FRESH_S
        self.renderer = resident.renderer(model, env.rendering)
        self.finisher = Finisher.of(env, model, prepared.pictures)
        self.items = SpecItems(self.renderer, prepared.pictures)

    def run(self, asked: tuple[RenderWork, ...] | None = None) -> BatchReport:
        """Renders what is left; `asked`: what that is, if it was asked for just now."""
        from models.refadgen.render_items import NotRendered  # imports torch

        work = {w.fingerprint: w for w in (self._work() if asked is None else asked)}
        with (
            RenderOutput.open(self.env, self.lease, self.renderer.device, self.finisher) as output,
            ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetching,
        ):
            outcomes = self.renderer.engine.render(
                self._wanted(work.values(), fetching, output),
                self.items.reference,
                self.env.rendering.micro_batch,
                still_wanted=lambda items: self._still_wanted(items, output),
            )
            with closing(outcomes):  # what is fetched ahead ends with it, whatever happens
                for made in outcomes:
                    if isinstance(made, NotRendered):
                        output.failed(work[made.item.name], made.error)
                    else:
                        self.turn.made(made.seconds)
                        output.rendered(work[made.item.name], made.picture, made.seconds)
            self.turn.let_go()
            output.settle()
        report = self._report(output)
        self.on_progress(report)
        return report

    def _work(self) -> tuple[RenderWork, ...]:
        with self.env.database.transaction() as tx:
            return leases.work(tx, self.lease)

    def _wanted(
        self, work: Iterable[RenderWork], fetching: Executor, output: RenderOutput
    ) -> "Iterator[RenderItem]":
        """What is to be rendered; what is stored already is adopted, what cannot be is failed."""
        two_micro_batches = 2 * self.env.rendering.micro_batch
        for one, item in ahead(fetching, self._prepared, work, two_micro_batches):
            if item is None:
                output.adopted(one)
                output.settle(keep=two_micro_batches)
            elif isinstance(item, AdloomError):
                output.failed(one, item)
            else:
                yield item

    def _prepared(self, work: RenderWork) -> "RenderItem | AdloomError | None":
        """None: its object is there."""
        try:
            if work.fingerprint not in self.absent and self._is_stored(work):
                return None
            return self.items.item(work.fingerprint, work.spec)
        except Exception as caught:
            error = as_render_error(caught)
            if ends_the_work(error):
                raise error from caught
            return error

    def _is_stored(self, work: RenderWork) -> bool:
        return self.env.store.exists(render_key(self.env.workspace, work.fingerprint))

    def _still_wanted(
        self, items: "Sequence[RenderItem]", output: RenderOutput
    ) -> "Sequence[RenderItem]":
        """Between micro-batches: the lease holds, storing and finishing lag by one micro-batch at
        most, and what was cancelled meanwhile is left out. Raises what the output's threads did."""
        self.heartbeat.check()
        output.settle(keep=self.env.rendering.micro_batch)
        self.on_progress(self._report(output))
        self.stop.check_begun()
        if time.monotonic() > self.fresh_until:
            alive = {w.fingerprint for w in self._work()}
            items = [item for item in items if item.name in alive]
        self.fresh_until = 0.0
        self.turn.begins()
        return items

    def _report(self, output: RenderOutput) -> BatchReport:
        return BatchReport(self.lease.batch_id, **asdict(output.tally))
