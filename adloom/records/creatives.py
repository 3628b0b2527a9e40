"""Creatives with all that made them, and people's reviews of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adloom.catalog import Price
from adloom.gates import Reason
from adloom.planning import SlotKey
from adloom.records.batches import StoredRender
from adloom.records.judging import Rendition
from adloom.render_spec import RenderSpec
from adloom.states import Disposition, Outcome, RenderState, ReviewDecision


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
    """A creative as it stands in a run, with everything that made it.

    `withdrawn` says why it must not be used, whatever its outcome: recalled, or no longer sold.
    """

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
    withdrawn: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    creative_id: int
    image_sha256: str
    reviewer: str
    decision: ReviewDecision
    reason: str
    created_at: datetime
    id: int = 0
    key: str | None = None
