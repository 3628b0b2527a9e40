"""What the reaper does for runs that have nobody else to do it."""

from datetime import UTC, datetime

import structlog

from adloom.records import ReapCounts
from db.queries import cancelling, reaping, runs
from tasks import dispatching
from tasks.environment import Environment

log = structlog.get_logger(__name__)


def reap(env: Environment) -> ReapCounts:
    """Hands back all batches of the workspace whose lease has run out (see db.queries.reaping), and
    ends those that wait for a run which has ended."""
    with env.database.transaction() as tx:
        counts = reaping.reap(tx, env.workspace_id, grace_s=env.rendering.lease_s)
        cancelling.end_left(tx, env.workspace_id)
        return counts


async def resume_orphans(env: Environment) -> int:
    """Has runs gone on with whose coordinator has died; returns how many.

    These are the runs of a schedule and those that a deployment's flow run began. What a person
    started in a terminal is that person's to go on with.
    """
    with env.database.transaction() as tx:
        found = runs.orphaned(tx, env.workspace_id)
    orphans = await dispatching.to_resume(found)
    for orphan in orphans:
        log.warning("a run has lost its coordinator", run=orphan.run_id, campaign=orphan.campaign)
        flow_run_id = await dispatching.resume(orphan, orphan.key(datetime.now(UTC)))
        with env.database.transaction() as tx:
            runs.set_flow_run(tx, orphan.run_id, flow_run_id)
    return len(orphans)
