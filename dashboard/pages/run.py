"""One run: how far it is, what it made, what failed and why, what it was told to make."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from adloom.differences import Difference, differences
from adloom.run_figures import RunFigures, RunRow
from adloom.states import Outcome
from dashboard import charts
from dashboard.access import Viewer
from dashboard.database import Reading, TheDashboard, Workspace
from dashboard.notices import run_notice
from dashboard.parameters import After, IdPath, Search
from dashboard.pictures import picture_url
from dashboard.run_choice import Items, failure_filter
from dashboard.run_view import price_each, run_view
from dashboard.run_watch import watch_of
from dashboard.templating import page
from dashboard.yield_lines import YieldLine, yield_lines
from db.engine import Transaction
from db.queries import figures
from db.queries.dashboard import batches, catalogue, runs

router = APIRouter()
REASONS_SHOWN = 12
FAILED_ROWS = 50
_UNDECIDED = ("_NEAR", "_MISSING")
"""What codes of reasons end with that keep an image for people; others reject it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the funnel: how many slots came so far, and its share of the plan."""

    name: str
    items: int
    share: float
    of: str


@dataclass(frozen=True, slots=True)
class Example:
    creative_id: int
    url: str
    alt: str


@router.get("/runs/{run}")
def show_run(
    request: Request,
    tx: Reading,
    ws: Workspace,
    dashboard: TheDashboard,
    _person: Viewer,
    run: IdPath,
    did: Search = None,
    items: After = None,
) -> HTMLResponse:
    """A run's page. Its counts are as of the last measuring; it is measured again meanwhile."""
    row = runs.row(tx, ws, run)
    watch_of(request).ask(run)
    measured, price = row.figures, dashboard.gpu_hour_price
    spec, before = runs.spec_of(tx, ws, run), runs.spec_before(tx, ws, run)
    approved = measured.count(Outcome.APPROVED) if measured else 0
    return page(
        request,
        "run.html",
        row=row,
        view=run_view(row, price),
        figures=measured,
        each=price_each(measured.cost(price) if measured else None, approved),
        has_price=price is not None,
        notice=run_notice(did, items),
        funnel=funnel(row, measured) if measured else (),
        timeline=charts.timeline(measured) if measured else None,
        reasons=_reasons(request, tx, ws, row, measured) if measured else (),
        scenes=_scene_yields(tx, run),
        batches=batches.of_run(tx, ws, run),
        spec=spec,
        before=before,
        differences=_differences(spec, before),
    )


@router.get("/runs/{run}/failures")
def show_failures(
    request: Request,
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    run: IdPath,
    error_class: Search = None,
    reason: Search = None,
    after: After = None,
    item: Items = None,
) -> HTMLResponse:
    """The failed items of a run, to look at and to choose from."""
    chosen = failure_filter(run, error_class, reason, item)
    found = runs.failed_page(tx, ws, chosen, after=after or 0, limit=FAILED_ROWS + 1)
    row = runs.row(tx, ws, run)
    return page(
        request,
        "failures.html",
        row=row,
        chosen=chosen,
        failed=found[:FAILED_ROWS],
        counts=runs.would_retry(tx, ws, chosen),
        after=after,
        next_after=found[FAILED_ROWS - 1].run_item_id if len(found) > FAILED_ROWS else None,
        classes=sorted({f.error_class for f in row.figures.failures}) if row.figures else (),
    )


def funnel(row: RunRow, measured: RunFigures) -> tuple[Stage, ...]:
    """From the plan to the verdicts: every line is a count of slots, and says of what."""
    planned = max(1, row.planned_slots)
    ends = (
        ("approved", Outcome.APPROVED),
        ("need review", Outcome.NEEDS_REVIEW),
        ("rejected", Outcome.REJECTED),
        ("failed", Outcome.FAILED),
        ("cancelled", Outcome.CANCELLED),
        ("still open", Outcome.OPEN),
    )
    stages = [
        Stage("planned", row.planned_slots, 1.0, ""),
        Stage("reused", measured.reused, measured.reused / planned, "planned"),
        Stage("to render", measured.new, measured.new / planned, "planned"),
    ]
    for name, outcome in ends:
        n = measured.count(outcome)
        stages.append(Stage(name, n, n / planned, "planned"))
    return tuple(stages)


def _reasons(
    request: Request, tx: Transaction, ws: int, row: RunRow, measured: RunFigures
) -> list[dict[str, Any]]:
    shown = measured.reasons[:REASONS_SHOWN]
    wanted = sorted({c for reason in shown for c in reason.examples})
    found = catalogue.tiles(tx, ws, wanted, run_id=row.id) if wanted else {}
    most = max((reason.items for reason in shown), default=1)
    return [
        {
            "code": reason.code,
            "needs_eyes": reason.code.endswith(_UNDECIDED),
            "items": reason.items,
            "share": reason.items / most,
            "examples": [_example(request, found[c]) for c in reason.examples if c in found],
        }
        for reason in shown
    ]


def _example(request: Request, tile: catalogue.CreativeTile) -> Example:
    alt = f"Creative {tile.creative_id}: {tile.scene}, {tile.format}"
    return Example(tile.creative_id, picture_url(request, tile.object_key, "thumb"), alt)


def _scene_yields(tx: Transaction, run: int) -> list[YieldLine]:
    found: dict[str, dict[Outcome, int]] = {}
    for line in figures.yields_of(tx, run, "scene"):
        found.setdefault(line.value, {})[line.outcome] = line.items
    return yield_lines(found)


def _differences(
    spec: runs.SpecOfRun, before: runs.SpecOfRun | None
) -> tuple[Difference, ...] | None:
    """What this run was told otherwise than the last one; None where there was none."""
    if before is None:
        return None
    return differences(
        {**before.spec, "weights": before.weights_hash},
        {**spec.spec, "weights": spec.weights_hash},
    )
