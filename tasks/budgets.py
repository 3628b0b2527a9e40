"""Budgets of runs: images, device seconds, money. Once one is spent nothing more is begun."""

from dataclasses import dataclass
from decimal import Decimal

import structlog

from adloom.campaign import Budget
from adloom.catalog import Price
from adloom.errors import BudgetReachedError, ConfigurationError
from adloom.records import RunLease, RunRecord, Spending
from db.engine import Transaction
from db.queries import cancelling, events, run_leases, spending
from tasks.environment import Environment
from tasks.leisure import Leisure

log = structlog.get_logger(__name__)

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """A budget as it is measured; `per_hour` is the price of a device, None where none is known."""

    images: int | None
    device_s: float | None
    money: Price | None
    per_hour: Price | None

    def reached(self, spent: Spending) -> str | None:
        """Which bound is reached, in words; None while none is."""
        if self.images is not None and spent.images >= self.images:
            return f"over budget: {spent.images} images made, of {self.images}"
        if self.device_s is not None and spent.device_s >= self.device_s:
            return f"over budget: {spent.device_s:.1f} GPU-seconds used, of {self.device_s:g}"
        if self.money is not None and self.per_hour is not None:
            cost = cost_of(spent.device_s, self.per_hour)
            if cost.amount >= self.money.amount:
                return f"over budget: {shown(cost)} spent, of {shown(self.money)}"
        return None


def limits(budget: Budget, per_hour: Price | None, *, where: str) -> Limits:
    """Raises ConfigurationError for a budget of money where no price in its currency is set."""
    money = budget.money
    if money is not None and (per_hour is None or per_hour.currency != money.currency):
        has = f"is in {per_hour.currency}" if per_hour else "is not set"
        raise ConfigurationError(
            f"its budget is {shown(money)}, and ADLOOM_GPU_HOUR_PRICE {has}",
            where=where,
            hint=f"set ADLOOM_GPU_HOUR_PRICE to what a device costs by the hour, in "
            f"{money.currency}",
        )
    return Limits(budget.images, budget.gpu_seconds, money, per_hour)


def cost_of(device_s: float, per_hour: Price) -> Price:
    """What so many seconds of a device cost, to the hundredth."""
    amount = per_hour.amount * Decimal(device_s) / 3600
    return Price(amount.quantize(Decimal("0.01")), per_hour.currency)


def shown(price: Price) -> str:
    return f"{price.amount} {price.currency}"


def shortfall(found: Limits, renders: int, device_s: float) -> str | None:
    """What a plan of so many renders will not get, in words; None if it is within its budget."""
    said = found.reached(Spending(renders, device_s))
    if said is None or (found.images == renders):
        return None
    return f"the run will stop at its budget ({said.removeprefix('over budget: ')})"


class BudgetWatch:
    """Looks now and then at what one run has spent."""

    def __init__(self, env: Environment, run: RunRecord) -> None:
        """Raises ConfigurationError as `limits` does."""
        self._env, self._run = env, run
        where = f"campaign '{run.campaign}'"
        self._limits = limits(run.spec.budget, env.gpu_hour_price, where=where)
        self._said = run.stopped_for
        self._leisure = Leisure(LOOK_S)

    def is_spent(self, lease: RunLease) -> bool:
        """Whether the run begins nothing more; then what it has not begun is ended.

        Raises LeaseLostError.
        """
        if not self._is_reached():
            return False
        with self._env.database.transaction() as tx:
            run_leases.hold(tx, lease)
            ended = cancelling.stop(tx, self._run.id, self._error)
            if ended.items:
                self._note(tx)
        return True

    def forgoes(self, tx: Transaction) -> bool:
        """Whether the run forgoes something that it would begin now, as the next draw of a rejected
        slot; then its row says so."""
        if self._is_reached():
            self._note(tx)
            return True
        return False

    @property
    def _error(self) -> BudgetReachedError:
        return BudgetReachedError(self._said)

    def _note(self, tx: Transaction) -> None:
        cancelling.note_stopped(tx, self._run.id, self._error)
        told = f"run {self._run.id} is {self._said}"
        events.add(tx, self._run.id, "run.over_budget", None, text=told)
        log.warning("a run ends before its plan", run=self._run.id, reason=self._said)

    def _is_reached(self) -> bool:
        due = self._said is None and self._leisure.is_due
        if due and self._run.spec.budget.is_spent_by_running:
            with self._leisure.look(), self._env.database.transaction() as tx:
                spent = spending.of_run(tx, self._run.id)
            self._said = self._limits.reached(spent)
        return self._said is not None
