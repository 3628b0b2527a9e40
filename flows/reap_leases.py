"""Batches without a living worker, and scheduled runs without a coordinator, picked up again."""

import asyncio

from prefect import flow

from adloom.records import ReapCounts
from tasks import reaping, watching, webhooks
from tasks.environment import current


@flow(name="reap-leases")
async def reap_leases() -> ReapCounts:
    """Hands back, splits and fails as db.queries.reaping says, and has orphaned runs gone on with.

    Coordinators do the same for their runs; this is for runs that have none. It also notices
    deadlines and trouble, and tells webhooks what nobody has told them.
    """
    env = current()
    counts = await asyncio.to_thread(reaping.reap, env)
    await reaping.resume_orphans(env)
    await asyncio.to_thread(watching.look, env)
    await asyncio.to_thread(webhooks.deliver, env)
    return counts
