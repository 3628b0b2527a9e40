"""A run's figures as people read them, the same on a page and in its live rows."""

from dataclasses import dataclass
from decimal import Decimal

from adloom.catalog import Price
from adloom.run_figures import RunRow
from adloom.states import Outcome, RunState

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class RunView:
    """What is shown of a run; `share` is how much of it is done, 0..1."""

    id: int
    campaign: str
    state: str
    share: float
    done: str
    left: str
    yields: str
    pace: str
    busy: str
    cost: str
    approved: str
    review: str
    rejected: str
    failed: str
    open: str
    new: str
    reused: str
    measured_at: str


def run_view(row: RunRow, per_hour: Price | None) -> RunView:
    """`per_hour`: what an hour of one device costs, None if nobody said."""
    figures = row.figures
    count = figures.count if figures is not None else lambda _: None
    still_open = count(Outcome.OPEN)
    done = None if still_open is None else max(0, row.planned_slots - still_open)
    money = figures.cost(per_hour) if figures is not None else None
    return RunView(
        id=row.id,
        campaign=row.campaign,
        state=state_of(row),
        share=round(row.done_share, 4),
        done=f"{number(done)} / {number(row.planned_slots)}",
        left=_left(row),
        yields=percent(figures.approved_share if figures else None),
        pace=rate(figures.images_per_s if figures else None),
        busy=percent(figures.busy_share if figures else None, digits=0),
        cost=price(money),
        approved=number(count(Outcome.APPROVED)),
        review=number(count(Outcome.NEEDS_REVIEW)),
        rejected=number(count(Outcome.REJECTED)),
        failed=number(count(Outcome.FAILED)),
        open=number(still_open),
        new=number(figures.new if figures else None),
        reused=number(figures.reused if figures else None),
        measured_at=figures.measured_at.isoformat() if figures else "",
    )


def state_of(row: RunRow) -> str:
    """A run's state in a word; one that is paused, or that nobody carries out, says so."""
    if not row.is_live:
        return row.state.value
    if row.paused_at is not None:
        return "paused"
    return row.state.value if row.is_coordinated else "interrupted"


def _left(row: RunRow) -> str:
    if not row.is_live:
        return NOTHING
    if row.paused_at is not None or not row.is_coordinated:
        return "stands still"
    if row.state is RunState.JUDGING:
        return "judging"
    seconds = row.figures.seconds_left if row.figures is not None else None
    return "unknown" if seconds is None else duration(seconds)


def number(n: int | None) -> str:
    return NOTHING if n is None else f"{n:,}"


def counted(n: int, one: str, many: str = "") -> str:
    """`1 item`, `2 items`; `many` where it is not `one` with an s."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def percent(share: float | None, *, digits: int = 1) -> str:
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def rate(per_s: float | None) -> str:
    return NOTHING if per_s is None else f"{per_s:.2f}" if per_s < 100 else f"{per_s:.0f}"


def price(money: Price | None) -> str:
    return NOTHING if money is None else f"{money.amount:,.2f} {money.currency}"


def price_each(money: Price | None, items: int) -> str:
    """What one of `items` costs; with a tenth of a cent where it costs less than one."""
    if money is None or not items:
        return NOTHING
    each = money.amount / items
    digits = 2 if each >= Decimal(1) else 4
    return f"{each:,.{digits}f} {money.currency}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
