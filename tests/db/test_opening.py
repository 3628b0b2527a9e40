"""A process has connections for all that it does at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from sqlalchemy import text

from tasks.fleet import AT_ONCE, CONTROL_POOL
from tasks.opening import open_environment
from tasks.settings import Settings

CAMPAIGNS, EACH = 6, 7
"""What the deployment's limit lets one control worker plan at two in the morning; a plan's stream,
its question ahead, its two writers, its chunk; the run's heartbeat and its watch."""


def test_six_campaigns_that_plan_at_once_leave_each_heartbeat_a_connection(
    postgres_url: str, tmp_path: Path
) -> None:
    settings = Settings.load(home=tmp_path)
    env = open_environment(settings, postgres_url, flows_at_once=AT_ONCE[CONTROL_POOL])
    all_hold_one = Barrier(CAMPAIGNS * EACH)

    def hold(_: int) -> None:
        with env.database.transaction() as tx:
            tx.execute(text("SELECT 1"))
            all_hold_one.wait(timeout=20)

    with ThreadPoolExecutor(CAMPAIGNS * EACH) as pool:
        held = list(pool.map(hold, range(CAMPAIGNS * EACH)))
    assert len(held) == CAMPAIGNS * EACH
    env.database.dispose()
