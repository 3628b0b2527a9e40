"""Runs, their counts, their leases and their failed items, as rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adloom.campaign import CampaignSpec
from adloom.planning import SlotKey
from adloom.states import Disposition, Outcome, RenderState, RunState, Trigger


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """What a chunk of planned items became; `slots == new + reused`."""

    slots: int = 0
    new: int = 0
    reused: int = 0

    def __add__(self, other: "PlanCounts") -> "PlanCounts":
        return PlanCounts(
            self.slots + other.slots, self.new + other.new, self.reused + other.reused
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """What a render took, s, on the mean of so many `renders` by one kind of device."""

    device: str
    renders: int
    seconds: float


@dataclass(frozen=True, slots=True)
class KnownCounts:
    """What a chunk of slots that need no planning amounts to. `rendered` slots have their render;
    `missing` are the fingerprints of the renders that are yet to be made, each once."""

    slots: int
    products: tuple[int, ...]
    rendered: int
    missing: tuple[str, ...]
    warnings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunRecord:
    id: int
    campaign: str
    campaign_id: int
    spec: CampaignSpec
    state: RunState
    trigger: Trigger
    weights_hash: str | None
    flow_run_id: str | None
    planned_slots: int
    created_at: datetime
    ended_at: datetime | None
    error_class: str | None
    error_message: str | None
    paused_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run with its counts. `outcomes` (without superseded) sum to `run.planned_slots`.

    `reasons` counts the reason codes of the live items' verdicts, `errors` the failed items by
    error class, `skipped` the products that could not be planned, `superseded` the draws that were
    followed by another.
    """

    run: RunRecord
    outcomes: Mapping[Outcome, int]
    dispositions: Mapping[Disposition, int]
    renders: Mapping[RenderState, int]
    reasons: Mapping[str, int]
    errors: Mapping[str, int]
    skipped: Mapping[str, int]
    superseded: int


@dataclass(frozen=True, slots=True)
class Conservation:
    """The proof that a run lost nothing: all four numbers are the same."""

    planned_slots: int
    slots: int
    live_items: int
    outcomes_sum: int

    @property
    def holds(self) -> bool:
        return self.planned_slots == self.slots == self.live_items == self.outcomes_sum


@dataclass(frozen=True, slots=True)
class RunLease:
    """A coordinator's hold on a run; `epoch` is the fence."""

    run_id: int
    owner: str
    epoch: int
    expires_at: datetime


RESUME_EVERY_S = 300
"""A run whose coordinator fails before it takes the run's lease is resumed again this often."""


@dataclass(frozen=True, slots=True)
class OrphanedRun:
    """A live run without a coordinator; `epoch` is that of the last one's lease."""

    run_id: int
    campaign: str
    trigger: Trigger
    epoch: int
    created_at: datetime
    flow_run_id: str | None = None

    def key(self, at: datetime) -> str:
        """What makes resuming it twice within RESUME_EVERY_S one flow run."""
        made, part = int(self.created_at.timestamp()), int(at.timestamp() / RESUME_EVERY_S)
        return f"resume-{self.run_id}:{self.epoch}:{made}:{part}"


@dataclass(frozen=True, slots=True)
class CancelCounts:
    items: int
    renders: int
    batches: int


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failed items: all given conditions must hold; ages count from when an item ended.

    `error_class` is exact; `reason` is part of the error's class or message, in any case.
    `run_item_ids` None: any.
    """

    run_id: int | None = None
    error_class: str | None = None
    reason: str | None = None
    older_than_s: float | None = None
    newer_than_s: float | None = None
    retryable_only: bool = False
    run_item_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class FailedItem:
    run_id: int
    run_item_id: int
    render_id: int
    slot: SlotKey
    error_class: str
    error_message: str
    retryable: bool
    attempts: int
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class ReopenCounts:
    """Items opened again, and how many renders have to be made anew for them."""

    items: int
    renders: int
    runs: tuple[int, ...] = ()
