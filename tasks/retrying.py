"""Failed items: listed with all that was tried, selected, and opened again."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from adloom.errors import NotFoundError
from adloom.records import FailedItem, FailureFilter, PastFailure, ReopenCounts, RunLease
from adloom.states import RunState
from db.engine import Transaction
from db.queries import catalog, retrying, run_leases, runs
from tasks import resident
from tasks.environment import Environment

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FailureLine:
    """A failed item, and each time that its render failed (`tries`)."""

    item: int
    external_id: str
    scene: str
    format: str
    variant: int
    error_class: str
    message: str
    retryable: bool
    attempts: int
    ended_at: datetime
    tries: tuple[PastFailure, ...]


def failures(env: Environment, run_id: int, chosen: FailureFilter) -> tuple[FailureLine, ...]:
    """A run's failed items for which the conditions hold. Raises NotFoundError for no such run."""
    with env.database.transaction() as tx:
        runs.get(tx, env.workspace_id, run_id)
        found = retrying.failed_items(tx, env.workspace_id, replace(chosen, run_id=run_id))
        tries = retrying.past_failures(tx, sorted({f.render_id for f in found}))
        names = catalog.external_ids(tx, sorted({f.slot.product_id for f in found}))
    return tuple(
        FailureLine(
            f.run_item_id, names[f.slot.product_id], f.slot.scene_slug, f.slot.format_slug,
            f.slot.variant, f.error_class, f.error_message, f.retryable, f.attempts, f.ended_at,
            tries.get(f.render_id, ()),
        )
        for f in found
    )  # fmt: skip


def require_weights(env: Environment, run_id: int) -> None:
    """Raises ModelError if the weights at hand are not those that the run began with, NotFoundError
    if there is no such run or its weights are gone."""
    with env.database.transaction() as tx:
        run = runs.get(tx, env.workspace_id, run_id)
    at_hand = resident.identity(run.spec.model, env.rendering).weights_hash
    resident.require_pinned(run.weights_hash, at_hand, where=f"run {run_id}")


def with_failures(
    env: Environment, chosen: FailureFilter, campaign: str | None = None
) -> tuple[int, ...]:
    """The newest run of each campaign, or of one, if it has ended and a retry would open any of its
    items: what earlier runs left is in the newest one's plan."""
    with env.database.transaction() as tx:
        ended = retrying.newest_ended(tx, env.workspace_id, campaign)
        return tuple(r for r in ended if _would_open(tx, env, r, chosen))


def reopen(
    env: Environment, lease: RunLease, chosen: FailureFilter, *, force: bool = False
) -> ReopenCounts:
    """Opens the chosen of a run's failed items again; their renders become pending, attempts kept.

    Without `force` what was tried as often as the campaign allows is left, and so is what ends its
    workers. Raises LeaseLostError, and NotFoundError if there is nothing to open.
    """
    run_id = lease.run_id
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        failed, left = _found(tx, env, run_id, chosen, force=force)
        if not failed and runs.go_on(tx, [run_id]):  # opened by a retry that was interrupted
            return ReopenCounts(0, 0, (run_id,), left)
        if not failed:
            raise _nothing(tx, env, run_id, chosen, left)
        counts = retrying.reopen(tx, env.workspace_id, [f.run_item_id for f in failed])
    if left:
        log.warning("failed items are left as they are", run=run_id, items=left,
                    hint="they were tried too often or are deadly: --force")  # fmt: skip
    return replace(counts, left=left)


def _found(
    tx: Transaction, env: Environment, run_id: int, chosen: FailureFilter, *, force: bool
) -> tuple[tuple[FailedItem, ...], int]:
    """What a retry opens, and how many items alike it leaves."""
    asked = replace(chosen, run_id=run_id)
    if force:
        return retrying.failed_items(tx, env.workspace_id, asked), 0
    most = runs.get(tx, env.workspace_id, run_id).spec.max_attempts
    opened = retrying.failed_items(tx, env.workspace_id, asked.unforced(most))
    return opened, retrying.count_failed(tx, env.workspace_id, asked) - len(opened)


def _would_open(tx: Transaction, env: Environment, run_id: int, chosen: FailureFilter) -> bool:
    most = runs.get(tx, env.workspace_id, run_id).spec.max_attempts
    asked = replace(chosen, run_id=run_id).unforced(most)
    return retrying.count_failed(tx, env.workspace_id, asked) > 0


def _nothing(
    tx: Transaction, env: Environment, run_id: int, chosen: FailureFilter, left: int
) -> NotFoundError:
    run = runs.get(tx, env.workspace_id, run_id)
    if left:
        return NotFoundError(
            f"all {left} failed items of run {run_id}{_described(chosen)} were tried "
            f"{run.spec.max_attempts} times, or end their workers: there is nothing to retry",
            hint=f"see `adloom failures {run_id}`; once the cause is mended: --force",
        )
    if run.state is RunState.PLANNING:
        hint = f"its planning was interrupted; go on with it: adloom run {run.campaign}"
    else:
        hint = f"see `adloom report {run_id}`"
    return NotFoundError(
        f"no item of run {run_id} failed{_described(chosen)}: there is nothing to retry", hint=hint
    )


def _described(chosen: FailureFilter) -> str:
    parts = [
        f" of the {len(chosen.run_item_ids)} chosen" if chosen.run_item_ids is not None else "",
        f" with {chosen.error_class}" if chosen.error_class else "",
        f" for a reason that says '{chosen.reason}'" if chosen.reason else "",
        f" more than {chosen.older_than_s:.0f} s ago" if chosen.older_than_s is not None else "",
        f" within the last {chosen.newer_than_s:.0f} s" if chosen.newer_than_s is not None else "",
        " for a reason that may have passed" if chosen.retryable_only else "",
    ]
    return "".join(parts)
