"""What finishing made of renders, and what judging reads and writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adloom.finishing_spec import FinishingSpec
from adloom.gates import Verdict
from adloom.planning import SlotKey
from adloom.render_spec import RenderSpec
from adloom.states import Outcome, ReviewDecision


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


@dataclass(frozen=True, slots=True, order=True)
class FinishPlace:
    """A finishing that a run waits for: the order in which pages of them are read."""

    render_id: int
    finish_hash: str


@dataclass(frozen=True, slots=True)
class FinishPage:
    """What of a page of finishings is to be done, by reference; `next` is None on the last page."""

    work: tuple[FinishWork, ...]
    next: FinishPlace | None


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """A run item with all that judging reads; `review` overrides the verdict of this image."""

    run_item_id: int
    creative_id: int
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
    creative_id: int
    slot: SlotKey
    scene_version: int
    draw: int
    spec: RenderSpec
