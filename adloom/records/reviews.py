"""What waits for a person's word, and the word."""

from dataclasses import dataclass
from datetime import datetime

from adloom.states import Outcome, ReviewDecision


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """All given conditions must hold. `category` also takes in what lies below it; the bounds are
    of the score named `score`, such as `model.identity`, ends included."""

    campaign: str | None = None
    scene: str | None = None
    category: str | None = None
    reason: str | None = None
    score: str | None = None
    score_min: float | None = None
    score_max: float | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item of the queue that is one person's to decide until `until`.

    `distance`: of its scores to the gates they nearly missed or met; None where a score is missing.
    """

    creative_id: int
    run_item_id: int
    image_sha256: str
    distance: float | None
    until: datetime


@dataclass(frozen=True, slots=True)
class ReviewChoice:
    """Which image is decided on: the creative, the image that was seen, and the number of the
    newest review that was seen with it (None: there was none)."""

    creative_id: int
    image_sha256: str
    last_review: int | None = None


@dataclass(frozen=True, slots=True)
class ReviewWord:
    """What a person says. `key` is the sender's: the same word under the same key is added once."""

    reviewer: str
    decision: ReviewDecision
    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another draw, format or variant of the same product in the same scene and campaign."""

    of_creative: int
    creative_id: int
    run_item_id: int
    format: str
    variant: int
    draw: int
    outcome: Outcome
    image_sha256: str | None
