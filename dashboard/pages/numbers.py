"""Numbers over many runs: yields, costs, how far gates and reviewers agree; as pages and as CSV."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, StreamingResponse

from adloom.catalog import Price
from adloom.gates import Decision
from adloom.run_figures import RunFigures
from adloom.states import RunState
from dashboard.access import Viewer
from dashboard.csv_export import csv_response
from dashboard.database import Reading, TheDashboard, Workspace
from dashboard.parameters import Search
from dashboard.run_view import duration, percent, price, price_each
from dashboard.templating import page
from dashboard.yield_lines import YieldLine, without_versions, yield_lines
from db.queries import campaigns
from db.queries.dashboard import numbers
from tasks.numbers import agreement_of

router = APIRouter()
SPANS_D = {"7": 7, "30": 30, "90": 90, "all": None}
ROWS = 100


class Table(StrEnum):
    """The tables that can be exported."""

    SCENES = "scenes"
    VERSIONS = "versions"
    CATEGORIES = "categories"
    FORMATS = "formats"
    COSTS = "costs"
    AGREEMENT = "agreement"


_DIMENSIONS = {
    Table.SCENES: "scene",
    Table.VERSIONS: "scene",
    Table.CATEGORIES: "category",
    Table.FORMATS: "format",
}


class Chosen:
    """Which runs count: those of the last days, of one campaign or of all."""

    def __init__(
        self, days: Annotated[str, Query(max_length=4)] = "30", campaign: Search = None
    ) -> None:
        self.days = days if days in SPANS_D else "30"
        self.campaign = campaign or None

    @property
    def since(self) -> datetime | None:
        span = SPANS_D[self.days]
        return None if span is None else datetime.now(UTC) - timedelta(days=span)

    @property
    def values(self) -> dict[str, Any]:
        return {"since": self.since, "campaign": self.campaign}

    @property
    def query(self) -> str:
        return urlencode({"days": self.days, "campaign": self.campaign or ""})


Choice = Annotated[Chosen, Depends()]


@router.get("/numbers")
def show_numbers(
    request: Request,
    tx: Reading,
    ws: Workspace,
    dashboard: TheDashboard,
    _person: Viewer,
    chosen: Choice,
) -> HTMLResponse:
    """Yields, costs, and agreement, of the runs that are chosen."""
    by_version = numbers.yields(tx, ws, "scene", **chosen.values)
    agreed = agreement_of(tx, ws, **chosen.values)
    return page(
        request,
        "numbers.html",
        chosen=chosen,
        spans=list(SPANS_D),
        campaigns=campaigns.slugs(tx, ws),
        scenes=yield_lines(without_versions(by_version))[:ROWS],
        versions=yield_lines(by_version)[:ROWS],
        categories=yield_lines(numbers.yields(tx, ws, "category", **chosen.values))[:ROWS],
        formats=yield_lines(numbers.yields(tx, ws, "format", **chosen.values)),
        costs=[_cost_line(c, dashboard.gpu_hour_price) for c in _costs(tx, ws, chosen)[:ROWS]],
        has_price=dashboard.gpu_hour_price is not None,
        agreement=agreed,
        agreed=[(d.value, *agreed.of(d)) for d in Decision],
        precision=percent(agreed.precision),
        interval=" to ".join(percent(bound) for bound in agreed.precision_interval or ()),
        unmeasured=numbers.unmeasured(tx, ws),
    )


@router.get("/numbers/{table}.csv")
def export(
    tx: Reading,
    ws: Workspace,
    dashboard: TheDashboard,
    _person: Viewer,
    chosen: Choice,
    table: Table,
) -> StreamingResponse:
    """A table as CSV, whole."""
    if table is Table.AGREEMENT:
        agreed = agreement_of(tx, ws, **chosen.values)
        header = ("gates", "people_approve", "people_reject")
        return csv_response("agreement.csv", header, ((d.value, *agreed.of(d)) for d in Decision))
    if table is Table.COSTS:
        per_hour = dashboard.gpu_hour_price
        header = ("campaign", "runs", "renders", "device_seconds", "approved", "cost", "currency")
        rows = [
            (c.campaign, c.runs, c.rendered, round(c.render_s, 3), c.approved, *_money(c, per_hour))
            for c in _costs(tx, ws, chosen)
        ]
        return csv_response("costs.csv", header, rows)
    found = numbers.yields(tx, ws, _DIMENSIONS[table], **chosen.values)
    lines = yield_lines(without_versions(found) if table is Table.SCENES else found)
    header = (table.value, "creatives", "approved", "review", "rejected", "failed", "yield")
    return csv_response(f"{table.value}.csv", header, (_csv_row(line) for line in lines))


def _csv_row(line: YieldLine) -> tuple[object, ...]:
    share = None if line.share is None else round(line.share, 4)
    return (
        line.value, line.items, line.approved, line.review, line.rejected, line.failed, share,
    )  # fmt: skip


def _costs(tx: Reading, ws: int, chosen: Chosen) -> tuple[numbers.CampaignCost, ...]:
    return numbers.costs(tx, ws, **chosen.values)


def _cost(cost: numbers.CampaignCost, per_hour: Price | None) -> Price | None:
    measured = RunFigures(datetime.now(UTC), RunState.COMPLETE, render_s=cost.render_s)
    return measured.cost(per_hour)


def _money(cost: numbers.CampaignCost, per_hour: Price | None) -> tuple[object, object]:
    money = _cost(cost, per_hour)
    return (None, None) if money is None else (money.amount, money.currency)


def _cost_line(cost: numbers.CampaignCost, per_hour: Price | None) -> dict[str, Any]:
    money = _cost(cost, per_hour)
    each = cost.render_s / cost.approved if cost.approved else None
    return {
        "campaign": cost.campaign, "runs": cost.runs, "rendered": cost.rendered,
        "device": duration(cost.render_s), "approved": cost.approved, "cost": price(money),
        "each": price_each(money, cost.approved),
        "each_s": "–" if each is None else f"{each:.2f} s",
    }  # fmt: skip


assert set(_DIMENSIONS) == set(Table) - {Table.COSTS, Table.AGREEMENT}
