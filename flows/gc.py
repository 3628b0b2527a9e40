"""Objects that no row points to, removed."""

import asyncio

from prefect import flow

from tasks import gc as tasks
from tasks.environment import current
from tasks.gc import GcReport


@flow(name="gc")
async def gc(dry_run: bool = False) -> GcReport:
    """Removes the workspace's unreferenced objects that are older than a day."""
    return await asyncio.to_thread(tasks.collect, current(), dry_run=dry_run)
