"""A run's renders followed until none is to come: made by the fleet, or by this process."""

import asyncio
import time

from adloom.records import RunLease, RunRecord
from tasks import fleet, runs, stopping
from tasks.budgets import BudgetWatch
from tasks.dispatching import Dispatcher
from tasks.environment import Environment
from tasks.heartbeat import Heartbeat
from tasks.leisure import Leisure
from tasks.patience import in_thread, outlast

LOOK_S, EAGER_LOOK_S = 0.5, 0.1
"""Soon where as many batches went as there are workers: they are quick ones."""
CUT_EVERY_S, REAP_EVERY_S, LOST_EVERY_S = 5.0, 2.0, 2.0
LEISURE, LOST_AT_LEAST_EVERY_S = 20.0, 30.0
"""Looking for lost submissions takes about a twentieth of the time: with hundreds of workers many
wait rightly, and Prefect's server has to say so of each. So does cutting: it looks through all that
the run waits for."""
MISSED_S = 60.0
"""A fleet without workers for this long is no fleet: they may all be being replaced."""


class Following:
    """How one coordinator follows one run."""

    def __init__(self, env: Environment, run: RunRecord, lease: Heartbeat[RunLease]) -> None:
        self._env, self._run, self._lease = env, run, lease
        self._dispatcher = Dispatcher(env, run.spec.model)
        self._budget = BudgetWatch(env, run)
        self._crew = 0
        self._seen_at: float | None = None
        self._done_at: dict[str, float] = {}
        self._search_s = 0.0
        self._cutting = Leisure(CUT_EVERY_S)

    async def goes_on(self) -> bool:
        """Whether the run is still this process's to go on with; waits while it is paused.

        Raises LeaseLostError, and HandedBackError when the process was told to stop.
        """
        while True:
            self._lease.check()
            stopping.current().check()
            run = await in_thread(runs.require_run, self._env, self._run.id)
            if run.state in runs.ENDED:
                return False
            if run.paused_at is None:
                return True
            await asyncio.sleep(LOOK_S)

    async def has_fleet(self) -> bool:
        """Whether the run's batches are for a fleet. A process that may not render has no other."""
        self._crew = await in_thread(fleet.size, self._env, self._run)
        now = time.monotonic()
        if self._crew:
            self._seen_at = now
        missed = self._seen_at is None or now - self._seen_at > MISSED_S
        return not (self._env.renders_here and missed)

    async def is_spent(self) -> bool:
        """Whether the run's budget is reached: what is under way ends, and nothing more is begun.

        Raises LeaseLostError.
        """
        spent = await in_thread(self._budget.is_spent, self._lease.lease)
        if spent and self._is_due("reap", REAP_EVERY_S):
            await in_thread(fleet.reap, self._env, self._lease.lease)
        return spent

    async def submit(self) -> bool:
        """One look at the run: hands over what the window has room for, finds what got lost, waits
        a moment. False when no render is to come."""
        env, lease = self._env, self._lease.lease
        if self._is_due("reap", REAP_EVERY_S):
            await in_thread(fleet.reap, env, lease)
        handed_over = 0 if await self.is_spent() else await self._hand_over()
        if not await in_thread(fleet.is_awaited, env, self._run.id):
            return False
        await asyncio.sleep(EAGER_LOOK_S if handed_over >= max(1, self._crew) else LOOK_S)
        return True

    async def _hand_over(self) -> int:
        """Submits what the window has room for; how many batches."""
        env, lease = self._env, self._lease.lease
        cut = self._cutting.is_due
        if cut:
            with self._cutting.look():
                await in_thread(fleet.cut, env, lease)
        leisurely_s = min(LOST_AT_LEAST_EVERY_S, LEISURE * self._search_s)
        if self._is_due("lost", max(LOST_EVERY_S, leisurely_s)):
            began = time.monotonic()
            await outlast(self._dispatcher.find_lost, self._run.id)
            self._search_s = time.monotonic() - began
        chosen = await in_thread(fleet.to_submit, env, lease, self._crew, of_others=cut)
        await outlast(self._dispatcher.submit, chosen)
        return len(chosen)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._done_at.get(what, -every_s) < every_s:
            return False
        self._done_at[what] = now
        return True
