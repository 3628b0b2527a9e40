"""What metrics are made of: the whole fleet in a few small counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from adloom.states import AttemptEnding, BatchState, Outcome, RenderState


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Live batches of one state, and the renders they were cut with. `oldest_s`: how long ago the
    oldest of them was cut, those of paused runs left out."""

    state: Literal[BatchState.PENDING, BatchState.LEASED]
    batches: int
    renders: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class RenderCounts:
    """Renders by state. Not `exact`: pending, leased and rendered are Postgres' estimates."""

    by_state: Mapping[RenderState, int]
    exact: bool


@dataclass(frozen=True, slots=True)
class EndedAttempts:
    """How many attempts at batches ended so, and with which error class (empty: none)."""

    ending: AttemptEnding
    error_class: str
    attempts: int


@dataclass(frozen=True, slots=True)
class RunCounts:
    """A run's items by outcome (superseded draws left out), and its failed ones by error class."""

    run_id: int
    campaign: str
    state: str
    paused: bool
    planned: int
    created_at: datetime
    outcomes: Mapping[Outcome, int]
    errors: Mapping[str, int]

    @property
    def judged(self) -> int:
        """Items with a verdict."""
        verdicts = (Outcome.APPROVED, Outcome.REJECTED, Outcome.NEEDS_REVIEW)
        return sum(self.outcomes.get(outcome, 0) for outcome in verdicts)

    @property
    def share_approved(self) -> float | None:
        """The yield: approved over judged; None while nothing is judged."""
        return self.outcomes.get(Outcome.APPROVED, 0) / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """The newest run of a campaign that completed."""

    campaign: str
    run_id: int
    ended_at: datetime
