"""Batches, and what a worker takes from and gives back to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adloom.finishing_spec import FinishingSpec
from adloom.render_spec import RenderSpec
from adloom.states import AttemptEnding, BatchState


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch; `expired` says that its lease ran out and any worker may claim it."""

    id: int
    run_id: int
    state: BatchState
    renders: int
    lease_owner: str | None
    lease_epoch: int
    expired: bool
    attempts: int
    flow_run_id: str | None
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on a batch; every write names its `epoch`."""

    batch_id: int
    run_id: int
    owner: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RenderWork:
    """A render still to be made, and the finishings that live runs want of it."""

    render_id: int
    fingerprint: str
    spec: RenderSpec
    attempts: int
    finishings: tuple[FinishingSpec, ...]


@dataclass(frozen=True, slots=True)
class PendingRender:
    """A render that waits, and what can be fetched for it ahead."""

    fingerprint: str
    weights_hash: str
    renderer_version: str
    photo_sha256: str
    mask_sha256: str


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """A batch as seen without holding it; nothing left to make: `renders` is empty."""

    id: int
    epoch: int
    renders: tuple[PendingRender, ...]

    @property
    def cutouts(self) -> tuple[tuple[str, str], ...]:
        """(photo, mask) of its products, in the order of their renders."""
        return tuple(dict.fromkeys((r.photo_sha256, r.mask_sha256) for r in self.renders))


@dataclass(frozen=True, slots=True)
class StoredRender:
    """What is recorded of a finished render: where it is, what it took."""

    object_key: str
    sha256: str
    bytes: int
    device: str
    timings: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One claim of a batch: by which process of which worker, and how it ended (None: not yet).

    `renders` is how many were left to make when it began.
    """

    batch_id: int
    epoch: int
    owner: str
    worker: str
    renders: int
    started_at: datetime
    ended_at: datetime | None
    ending: AttemptEnding | None
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch as it was handed to a fleet, for the `number`-th time, `age_s` seconds ago.

    `taken_by` is the process that took it and has not begun it; `stamp` (ms) tells submissions
    apart that have the same number in different databases.
    """

    batch_id: int
    run_id: int
    number: int
    stamp: int
    flow_run_id: str | None
    taken_by: str | None
    taker_is_alive: bool
    age_s: float

    @property
    def key(self) -> str:
        """What makes submitting it twice one flow run."""
        return f"batch-{self.batch_id}:{self.number}:{self.stamp}"


@dataclass(frozen=True, slots=True)
class ReapCounts:
    """What became of batches without a living worker: handed back (of these `evicted` by a worker
    that was stopping), split in two, and renders failed that end every process."""

    handed_back: int = 0
    evicted: int = 0
    split: int = 0
    failed: int = 0
