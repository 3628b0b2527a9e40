"""Runs: begun or gone on with, held, completed, failed, cancelled, listed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adloom.campaign import CampaignSpec
from adloom.errors import (
    AdloomError,
    ConflictError,
    DatabaseUnavailableError,
    LeaseLostError,
    RunBusyError,
)
from adloom.records import (
    CancelCounts,
    RunLease,
    RunRecord,
    RunSummary,
)
from adloom.render_spec import RENDERER_VERSION
from adloom.states import (
    Disposition,
    Outcome,
    RenderState,
    RunState,
    Trigger,
)
from db.engine import Transaction
from db.queries import batches, campaigns, cancelling, events, run_leases, runs
from tasks import resident
from tasks.environment import Environment
from tasks.heartbeat import Heartbeat
from tasks.patience import OUTAGE_S, Outlasting, is_database_outage

ENDED = (RunState.COMPLETE, RunState.FAILED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run with its counts, as `adloom runs` lists it."""

    run: int
    campaign: str
    state: str
    trigger: str
    items: int
    new: int
    reused: int
    rendered: int
    approved: int
    needs_review: int
    rejected: int
    failed: int
    cancelled: int
    open: int
    started_at: datetime
    ended_at: datetime | None
    stopped_for: str | None = None
    """Why it ended before its plan, such as its budget."""


def require_campaign(env: Environment, slug: str) -> None:
    """Raises NotFoundError naming near matches."""
    with env.database.transaction() as tx:
        campaigns.get(tx, env.workspace_id, slug)


def require_run(env: Environment, run_id: int) -> RunRecord:
    """The run, or NotFoundError."""
    with env.database.transaction() as tx:
        return runs.get(tx, env.workspace_id, run_id)


def begin(
    env: Environment,
    slug: str,
    *,
    trigger: Trigger,
    flow_run_id: str | None,
    resumed: int | None = None,
) -> RunRecord:
    """A new run of a campaign, or its last one if that was interrupted and nothing has changed.

    A flow run that goes on with a run (`resumed`, or one it began itself) which has ended meanwhile
    begins no other: it gets that run as it is.

    An interrupted run whose campaign, weights or renderer version changed since is cancelled first:
    what it stored stays and is reused. The first run since a campaign was applied pins it to the
    weights at hand: raises ModelError if they are not those it is pinned to, and
    RunBusyError while another process executes a run of the campaign.
    """
    while True:
        newest = _latest(env, slug)
        last = newest if resumed is None else require_run(env, resumed)
        ours = last is not None and (last.id == resumed or last.flow_run_id == (flow_run_id or ""))
        if last is not None and ours and last.state in ENDED:
            return last
        spec, weights_hash = _pinned(env, slug)
        lease = _claimed(env, last.id) if last is not None and last.state not in ENDED else None
        with env.database.transaction() as tx:
            # One process at a time: who comes second sees the run that the first has begun.
            campaigns.lock(tx, env.workspace_id, slug)
            if lease is not None and (
                found := _resumable(env, tx, lease, spec, weights_hash, ours)
            ):
                if flow_run_id and found.state not in ENDED:
                    runs.set_flow_run(tx, found.id, flow_run_id)
                return found
            there = runs.latest(tx, env.workspace_id, slug)
            if there is None or (newest is not None and there.id == newest.id):
                run_id = runs.create(
                    tx,
                    env.workspace_id,
                    slug,
                    trigger=trigger,
                    weights_hash=weights_hash,
                    flow_run_id=flow_run_id,
                    spec=spec,
                )
                return runs.get(tx, env.workspace_id, run_id)


def _resumable(
    env: Environment, tx: Transaction, lease: RunLease, spec: CampaignSpec, weights: str, ours: bool
) -> RunRecord | None:
    """The run of the lease, which is let go, if it is to be gone on with, or has ended and is the
    caller's own; None if another is to be begun. One that has changed is cancelled."""
    run_leases.hold(tx, lease)
    now = runs.get(tx, env.workspace_id, lease.run_id)  # it may have ended while we waited
    run_leases.release(tx, lease)
    if now.state in ENDED:
        return now if ours else None
    # What another renderer version planned, this one may not make: it is planned anew.
    version = batches.planned_version(tx, now.id)
    if (now.spec, now.weights_hash) == (spec, weights) and version in (None, RENDERER_VERSION):
        return now
    cancelling.cancel(tx, now.id)
    return None


def _latest(env: Environment, slug: str) -> RunRecord | None:
    with env.database.transaction() as tx:
        return runs.latest(tx, env.workspace_id, slug)


def _pinned(env: Environment, slug: str) -> tuple[CampaignSpec, str]:
    """What a campaign says, and the hash of its weights, to which it is pinned.

    Both belong together: if the campaign is applied anew while its weights load, it is read again.
    """
    while True:
        with env.database.transaction() as tx:
            campaign = campaigns.get(tx, env.workspace_id, slug)
        weights_hash = resident.identity(campaign.spec.model, env.rendering).weights_hash
        with env.database.transaction() as tx:
            pinned = campaigns.pin_model(tx, env.workspace_id, campaign, weights_hash)
        if pinned is not None:
            resident.require_pinned(pinned, weights_hash, where=f"campaign '{slug}'")
            return campaign.spec, weights_hash


@contextmanager
def held(env: Environment, run_id: int) -> Iterator[Heartbeat[RunLease]]:
    """Holds the run's lease for the duration of the block. Raises RunBusyError if it is taken."""
    lease = _claimed(env, run_id)

    def beat(held: RunLease) -> RunLease:
        with env.database.transaction() as tx:
            return run_leases.heartbeat(tx, held, env.rendering.lease_s)

    heartbeat = Heartbeat(lease, beat, every_s=env.rendering.lease_s / 3)
    try:
        with heartbeat:
            yield heartbeat
    finally:
        with suppress(LeaseLostError, DatabaseUnavailableError), env.database.transaction() as tx:
            run_leases.release(tx, heartbeat.lease)


def _claimed(env: Environment, run_id: int) -> RunLease:
    """The run's lease, waiting as long as that of a process that was killed can last."""
    claim = Outlasting(is_database_outage, OUTAGE_S)
    deadline = None
    while True:
        lease = claim(_claim, env, run_id)
        if lease is not None:
            return lease
        deadline = deadline or time.monotonic() + env.rendering.lease_s + 1
        if time.monotonic() > deadline:
            raise RunBusyError(
                f"run {run_id} is being executed by another process",
                hint=f"wait for it, or: adloom cancel {run_id}",
            )
        time.sleep(0.5)


def _claim(env: Environment, run_id: int) -> RunLease | None:
    with env.database.transaction() as tx:
        ttl_s = env.rendering.lease_s
        return run_leases.claim(tx, run_id, env.owner, ttl_s, grace_s=ttl_s)


def complete(env: Environment, lease: RunLease) -> RunSummary:
    """Ends a run whose every slot is judged or ended.

    Raises LeaseLostError, and ConflictError if the counts do not add up: that would be an error of
    adloom's own.
    """
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        proof = runs.conservation(tx, lease.run_id)
        if not proof.holds:
            raise ConflictError(f"the counts of run {lease.run_id} do not add up: {proof}")
        runs.set_state(tx, lease.run_id, RunState.COMPLETE)
        summary = runs.summary(tx, env.workspace_id, lease.run_id)
        told = told_of(summary)
        events.add(tx, lease.run_id, "run.completed", str(lease.epoch), **told)
        return summary


def told_of(summary: RunSummary) -> dict[str, Any]:
    """What a webhook is told of a run that has ended."""
    run, counts = summary.run, {o.value: n for o, n in summary.outcomes.items()}
    parts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)
    stopped = f"; {run.stopped_for}" if run.stopped_for else ""
    text = f"run {run.id} of {run.campaign} is {run.state.value}: {parts or 'nothing to do'}"
    return {"text": text + stopped, "outcomes": counts, "errors": dict(summary.errors)}


def fail(env: Environment, lease: RunLease, error: AdloomError) -> None:
    """Ends a run that cannot go on, and its open items, with the reason. Raises LeaseLostError."""
    with suppress(ConflictError), env.database.transaction() as tx:  # it may have been cancelled
        run_leases.hold(tx, lease)
        cancelling.fail_open(tx, lease.run_id, error)
        runs.set_state(tx, lease.run_id, RunState.FAILED, error=error)
        text = f"run {lease.run_id} failed: {error.error_class}: {error}"
        events.add(tx, lease.run_id, "run.failed", str(lease.epoch), text=text)


def cancel(env: Environment, run_id: int) -> CancelCounts:
    """Cancels a run's open items, and the renders that no other run needs."""
    require_run(env, run_id)
    with env.database.transaction() as tx:
        return cancelling.cancel(tx, run_id)


def pause(env: Environment, run_id: int) -> None:
    """Has a run hand over no more batches; those under way end. Raises ConflictError."""
    require_run(env, run_id)
    with env.database.transaction() as tx:
        runs.set_paused(tx, run_id, True)


def go_on(env: Environment, run_id: int) -> bool:
    """Lets a paused run go on; whether somebody coordinates it, who will. Raises ConflictError."""
    require_run(env, run_id)
    with env.database.transaction() as tx:
        runs.set_paused(tx, run_id, False)
        return run_leases.is_held(tx, run_id)


def has_ended(env: Environment, run_id: int) -> bool:
    """Whether a run was ended, for example cancelled, while it was being executed."""
    return require_run(env, run_id).state in ENDED


def list_runs(env: Environment, limit: int) -> tuple[RunLine, ...]:
    with env.database.transaction() as tx:
        return tuple(run_line(s) for s in runs.list_runs(tx, env.workspace_id, limit=limit))


def own_run(env: Environment) -> RunLine | None:
    """The run that this process executes at the moment; None if it executes none (yet)."""
    with env.database.transaction() as tx:
        led = runs.led_by(tx, env.workspace_id, env.owner)
    return None if led is None else run_line(led)


def run_line(summary: RunSummary) -> RunLine:
    run, outcomes = summary.run, summary.outcomes
    return RunLine(
        run=run.id,
        campaign=run.campaign,
        state=run.state.value,
        trigger=run.trigger.value,
        items=run.planned_slots,
        new=summary.dispositions.get(Disposition.NEW, 0),
        reused=summary.dispositions.get(Disposition.REUSED, 0),
        rendered=summary.renders.get(RenderState.RENDERED, 0),
        approved=outcomes.get(Outcome.APPROVED, 0),
        needs_review=outcomes.get(Outcome.NEEDS_REVIEW, 0),
        rejected=outcomes.get(Outcome.REJECTED, 0),
        failed=outcomes.get(Outcome.FAILED, 0),
        cancelled=outcomes.get(Outcome.CANCELLED, 0),
        open=outcomes.get(Outcome.OPEN, 0),
        started_at=run.created_at,
        ended_at=run.ended_at,
        stopped_for=run.stopped_for,
    )


def open_renders(env: Environment, run_id: int) -> int:
    """How many renders the run's open items have, whatever their state."""
    with env.database.transaction() as tx:
        return sum(batches.remaining(tx, run_id).values())


def in_flight(env: Environment, run_id: int) -> int:
    """How many renders of the run's open items are still to come, here or elsewhere."""
    with env.database.transaction() as tx:
        left = batches.remaining(tx, run_id)
    return left.get(RenderState.PENDING, 0) + left.get(RenderState.LEASED, 0)
