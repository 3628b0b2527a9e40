"""Rows as values: what the database hands out and takes in beyond the core's own types.

All times are UTC. A `finish hash` is `FinishingSpec.finish_hash`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from adloom.campaign import CampaignSpec
from adloom.catalog import Availability, Delivery, PhotoRole, Price, SyncCounts
from adloom.finishing_spec import FinishingSpec
from adloom.gates import Reason, Verdict
from adloom.planning import SlotKey
from adloom.render_spec import RenderSpec
from adloom.states import (
    BatchState,
    Disposition,
    Outcome,
    RenderState,
    ReviewDecision,
    RunState,
    Trigger,
)

# --- catalogue ---


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A catalogue that was added, with how many of its products are active."""

    id: int
    slug: str
    kind: str
    location: str
    delivery: Delivery
    options: Mapping[str, Any]
    active_products: int = 0


class SyncState(StrEnum):
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SyncRecord:
    id: int
    source: str
    state: SyncState
    counts: SyncCounts
    started_at: datetime
    ended_at: datetime | None
    error_class: str | None
    error_message: str | None
    rejected_reasons: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class UpsertCounts:
    """What a chunk of records did; the three add up to the chunk."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class PhotoValidators:
    """What tells cheaply that a photo is still the same: HTTP's or the file system's word."""

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ProductPhoto:
    """A product's photo by reference; `photo_sha256` is None until it was fetched."""

    product_id: int
    external_id: str
    location: str
    role: PhotoRole
    position: int
    photo_sha256: str | None = None
    validators: PhotoValidators = PhotoValidators()


@dataclass(frozen=True, slots=True)
class PhotoProblem:
    """Why a product's photo cannot be used."""

    product_id: int
    external_id: str
    location: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product with its photos and what is wrong with them."""

    id: int
    source: str
    external_id: str
    title: str
    category: str
    brand: str
    availability: Availability
    price: Price | None
    link: str
    active: bool
    photos: tuple[ProductPhoto, ...]
    problems: tuple[PhotoProblem, ...]


# --- campaigns ---


class Change(StrEnum):
    """What applying a specification did."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class CampaignRecord:
    id: int
    spec: CampaignSpec
    created_at: datetime
    updated_at: datetime
    last_run_id: int | None
    model_revision: str | None = None


# --- runs ---


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


@dataclass(frozen=True, slots=True)
class CancelCounts:
    items: int
    renders: int
    batches: int


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


# --- batches ---


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
class StoredRender:
    """What is recorded of a finished render: where it is, what it took."""

    object_key: str
    sha256: str
    bytes: int
    device: str
    timings: Mapping[str, float] = field(default_factory=dict[str, float])


# --- finishing, scores, judging ---


@dataclass(frozen=True, slots=True)
class Rendition:
    """A finished file. `details`: detail lock applied or why refused, agreement (IoU), …"""

    render_id: int
    finish_hash: str
    sha256: str
    object_key: str
    media_type: str
    width: int
    height: int
    bytes: int
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class FinishWork:
    """A rendered render that still lacks a rendition or scores of the asked revision."""

    render_id: int
    spec: RenderSpec
    object_key: str
    sha256: str
    finishing: FinishingSpec
    rendition: Rendition | None
    model_scored: bool
    final_scored: bool


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """A run item with all that judging reads; `review` overrides the verdict of this image."""

    run_item_id: int
    slot: SlotKey
    draw: int
    render_id: int
    finish_hash: str
    image_sha256: str
    scores: Mapping[str, float]
    details: Mapping[str, Any]
    review: ReviewDecision | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    run_item_id: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """A rejected draw: with `replace(spec, seed=seed_for(…, draw + 1))` comes the next."""

    run_item_id: int
    slot: SlotKey
    scene_version: int
    draw: int
    spec: RenderSpec


# --- creatives ---


@dataclass(frozen=True, slots=True)
class CreativeFilter:
    """All given conditions must hold. Without `run_id`, each creative's newest live item counts."""

    campaign: str | None = None
    run_id: int | None = None
    outcome: Outcome | None = None
    scene: str | None = None
    format: str | None = None
    product: str | None = None
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ProductSummary:
    """The product's words and terms of sale, as an export needs them."""

    id: int
    source: str
    external_id: str
    item_group_id: str | None
    title: str
    category: str
    brand: str
    link: str
    price: Price | None


@dataclass(frozen=True, slots=True)
class CreativeView:
    """A creative as it stands in a run, with everything that made it."""

    creative_id: int
    run_id: int
    run_item_id: int
    campaign: str
    slot: SlotKey
    scene_version: int
    draw: int
    disposition: Disposition
    outcome: Outcome
    product: ProductSummary
    render_id: int
    fingerprint: str
    render_state: RenderState
    spec: RenderSpec
    render: StoredRender | None
    finish_hash: str
    rendition: Rendition | None
    scores: Mapping[str, float]
    reasons: tuple[Reason, ...]
    warning: str | None
    error_class: str | None
    error_message: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    creative_id: int
    image_sha256: str
    reviewer: str
    decision: ReviewDecision
    reason: str
    created_at: datetime
