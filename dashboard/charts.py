"""Charts as plain shapes in px, which templates draw as SVG."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from adloom.run_figures import RunFigures, TimelinePoint

WIDTH, HEIGHT = 720, 160
TABLE_ROWS = 12


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class TimeRow:
    """A part of the run's time in the table that says what the chart shows."""

    at: datetime
    rendered: int
    judged: int
    approved_share: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Renders over a run's time as bars, the yield so far as a line; `summary` says it in words."""

    bars: tuple[Bar, ...]
    line: str
    highest: int
    part_s: float
    summary: str
    rows: tuple[TimeRow, ...]
    width: int = WIDTH
    height: int = HEIGHT


def timeline(figures: RunFigures) -> Timeline | None:
    """None where nothing was rendered or judged yet."""
    points, since, until = figures.timeline, figures.timeline_from, figures.timeline_to
    if since is None or until is None or not any(p.rendered or p.judged for p in points):
        return None
    part = (until - since) / len(points)
    highest = max(p.rendered for p in points)
    step = WIDTH / len(points)
    bars = tuple(
        Bar(
            round(i * step + 0.5, 1),
            round(HEIGHT - HEIGHT * p.rendered / highest, 1),
            round(step - 1, 1),
            round(HEIGHT * p.rendered / highest, 1),
            f"{p.rendered} renders at {since + i * part:%Y-%m-%d %H:%M:%S} UTC",
        )
        for i, p in enumerate(points)
        if p.rendered
    )
    rows = _rows(points, since, part)
    return Timeline(bars, _line(points, step), highest, part.total_seconds(), _said(figures), rows)


def _line(points: tuple[TimelinePoint, ...], step: float) -> str:
    """The yield of all that was judged until then, as an SVG path."""
    judged = approved = 0
    path: list[str] = []
    for i, point in enumerate(points):
        judged, approved = judged + point.judged, approved + point.approved
        if judged:
            x, y = (i + 0.5) * step, HEIGHT - HEIGHT * approved / judged
            path.append(f"{'L' if path else 'M'}{x:.1f} {y:.1f}")
    return " ".join(path)


def _rows(
    points: tuple[TimelinePoint, ...], since: datetime, part: timedelta
) -> tuple[TimeRow, ...]:
    size = max(1, -(-len(points) // TABLE_ROWS))
    rows: list[TimeRow] = []
    for first in range(0, len(points), size):
        some = points[first : first + size]
        judged, approved = sum(p.judged for p in some), sum(p.approved for p in some)
        share = approved / judged if judged else None
        rows.append(TimeRow(since + first * part, sum(p.rendered for p in some), judged, share))
    return tuple(rows)


def _said(figures: RunFigures) -> str:
    share = figures.approved_share
    said = f"{figures.rendered:,} renders made"
    if figures.images_per_s is not None:
        said += f", {figures.images_per_s:.2f} a second"
    return said if share is None else f"{said}; {100 * share:.1f} % of what was judged is approved"
