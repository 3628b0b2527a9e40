"""What the reaper does for runs that have nobody else to do it."""

import structlog

from adloom.records import ReapCounts
from db.queries import reaping, runs
from tasks import dispatching
from tasks.environment import Environment

log = structlog.get_logger(__name__)


def reap(env: Environment) -> ReapCounts:
    """Hands back all batches of the workspace whose lease has run out; see db.queries.reaping."""
    with env.database.transaction() as tx:
        return reaping.reap(tx, env.workspace_id, grace_s=env.rendering.lease_s)


async def resume_orphans(env: Environment) -> int:
    """Has scheduled runs gone on with whose coordinator has died; returns how many.

    A run that a person started by hand is that person's to go on with.
    """
    with env.database.transaction() as tx:
        orphans = runs.orphaned(tx, env.workspace_id)
    for orphan in orphans:
        log.warning("a run has lost its coordinator", run=orphan.run_id, campaign=orphan.campaign)
        made = int(orphan.created_at.timestamp())
        await dispatching.resume(orphan, f"resume-{orphan.run_id}:{orphan.epoch}:{made}")
    return len(orphans)
