"""What was measured of a run at some moment, and what follows from it: rates, money, time left.

Counting a run of a hundred thousand items takes a fraction of a second, which no page that lists
runs can wait for: the figures are measured beside the pages, kept, and say when they were measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from adloom.catalog import Price
from adloom.states import Outcome, RunState, Trigger

RECENT_S = 120.0
"""The pace of a run under way is that of its renders of so many seconds."""
ENOUGH_RENDERS = 3
"""Fewer renders than these within RECENT_S say nothing of a pace."""
LIVE_STATES = (RunState.PLANNING, RunState.RENDERING, RunState.JUDGING)
JUDGED = (Outcome.APPROVED, Outcome.NEEDS_REVIEW, Outcome.REJECTED)


@dataclass(frozen=True, slots=True)
class ReasonFigure:
    """How many live items a reason code concerns, and creatives that show it."""

    code: str
    items: int
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FailureFigure:
    """Failed items of one error class and message."""

    error_class: str
    message: str
    retryable: bool
    items: int


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One of the equal parts of a run's time: how much was rendered, judged, approved in it."""

    rendered: int = 0
    judged: int = 0
    approved: int = 0


@dataclass(frozen=True, slots=True)
class YieldFigure:
    """Live items of a run with one value of a dimension, such as `scene` `beach@2`, by outcome."""

    dimension: str
    value: str
    outcome: Outcome
    items: int
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A run as it was at `measured_at`.

    `outcomes` without superseded draws sum to its planned slots. `rendered` and `render_s` (device
    time) are of the renders that its own batches made, also of draws that were superseded since;
    `recent` of them were made within RECENT_S before. `worker_s`: the time between the first and
    the last batch of each worker, summed. `left`: renders still to come. `render_pace_s`: what a
    render took lately with the run's weights, where that is known.
    """

    measured_at: datetime
    state: RunState
    outcomes: Mapping[Outcome, int] = field(default_factory=dict[Outcome, int])
    new: int = 0
    reused: int = 0
    superseded: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict[str, int])
    reasons: tuple[ReasonFigure, ...] = ()
    failures: tuple[FailureFigure, ...] = ()
    rendered: int = 0
    render_s: float = 0.0
    recent: int = 0
    left: int = 0
    first_render_at: datetime | None = None
    last_render_at: datetime | None = None
    worker_s: float = 0.0
    workers: int = 0
    render_pace_s: float | None = None
    timeline: tuple[TimelinePoint, ...] = ()
    timeline_from: datetime | None = None
    timeline_to: datetime | None = None

    def count(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome, 0)

    @property
    def judged(self) -> int:
        return sum(self.count(o) for o in JUDGED)

    @property
    def approved_share(self) -> float | None:
        """Yield: approved of all that were judged, 0..1; None while nothing is judged."""
        return self.count(Outcome.APPROVED) / self.judged if self.judged else None

    @property
    def images_per_s(self) -> float | None:
        """While it renders: of late; of a run that ended: over the time that it rendered."""
        if self.state in LIVE_STATES and self.recent >= ENOUGH_RENDERS:
            return self.recent / self._recent_s
        if self.first_render_at is None or self.last_render_at is None:
            return None
        seconds = (self.last_render_at - self.first_render_at).total_seconds()
        return self.rendered / seconds if seconds > 0 else None

    @property
    def _recent_s(self) -> float:
        """The time of its `recent` renders: shorter than RECENT_S while it has just begun."""
        if self.first_render_at is None:
            return RECENT_S
        since = (self.measured_at - self.first_render_at).total_seconds()
        return min(RECENT_S, max(1.0, since))

    @property
    def busy_share(self) -> float | None:
        """How much of its workers' time was spent rendering, 0..1."""
        return min(1.0, self.render_s / self.worker_s) if self.worker_s > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the renders that are still to come take at the measured pace; None: unknown."""
        if self.state not in LIVE_STATES or self.state is RunState.PLANNING:
            return None
        if self.recent >= ENOUGH_RENDERS:
            return self.left * self._recent_s / self.recent
        if self.render_pace_s is None:
            return None if self.left else 0.0
        return self.left * self.render_pace_s / max(1, self.workers)

    def cost(self, per_hour: Price | None) -> Price | None:
        """What its device time costs at a price by the hour of one device."""
        if per_hour is None:
            return None
        amount = per_hour.amount * Decimal(str(self.render_s)) / 3600
        return Price(amount.quantize(Decimal("0.01")), per_hour.currency)

    def to_json(self) -> dict[str, Any]:
        """As plain values; the time of measuring, the state and the yields are kept beside."""
        return {
            "outcomes": {o.value: n for o, n in self.outcomes.items()},
            "new": self.new,
            "reused": self.reused,
            "superseded": self.superseded,
            "skipped": dict(self.skipped),
            "reasons": [[r.code, r.items, list(r.examples)] for r in self.reasons],
            "failures": [[f.error_class, f.message, f.retryable, f.items] for f in self.failures],
            "rendered": self.rendered,
            "render_s": self.render_s,
            "recent": self.recent,
            "left": self.left,
            "first_render_at": _text(self.first_render_at),
            "last_render_at": _text(self.last_render_at),
            "worker_s": self.worker_s,
            "workers": self.workers,
            "render_pace_s": self.render_pace_s,
            "timeline": [[p.rendered, p.judged, p.approved] for p in self.timeline],
            "timeline_from": _text(self.timeline_from),
            "timeline_to": _text(self.timeline_to),
        }

    @classmethod
    def from_json(
        cls, body: Mapping[str, Any], *, measured_at: datetime, state: RunState
    ) -> "RunFigures":
        """The inverse of `to_json`."""
        times = ("first_render_at", "last_render_at", "timeline_from", "timeline_to")
        return cls(
            **{
                **body,
                "outcomes": {Outcome(o): n for o, n in body["outcomes"].items()},
                "reasons": tuple(ReasonFigure(c, n, tuple(e)) for c, n, e in body["reasons"]),
                "failures": tuple(FailureFigure(*f) for f in body["failures"]),
                "timeline": tuple(TimelinePoint(*p) for p in body["timeline"]),
                **{name: _time(body[name]) for name in times},
            },
            measured_at=measured_at,
            state=state,
        )


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as a list shows it; `figures` None: it was not measured yet. `is_coordinated`: whether
    a process carries it out at the moment."""

    id: int
    campaign: str
    state: RunState
    trigger: Trigger
    planned_slots: int
    created_at: datetime
    ended_at: datetime | None
    paused_at: datetime | None
    error_class: str | None
    error_message: str | None
    is_coordinated: bool
    figures: RunFigures | None

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES

    @property
    def done_share(self) -> float:
        """How many of its slots are judged or have ended, 0..1."""
        if not self.is_live:
            return 1.0
        if self.figures is None or not self.planned_slots:
            return 0.0
        return 1.0 - min(1.0, self.figures.count(Outcome.OPEN) / self.planned_slots)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
