"""Reviewing by program: what the review page itself uses."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from adloom.records import ReviewChoice, ReviewFilter, ReviewWord
from adloom.states import ReviewDecision
from dashboard.access import Person, Reviewer, Viewer, audit
from dashboard.database import Env, TheDashboard
from dashboard.parameters import IdPath, Text
from dashboard.review_items import ShownItem, ShownReview, shown, shown_review
from tasks import reviewing
from tasks.reviewing import MOST_AT_ONCE, Decided

router = APIRouter(tags=["review"])

_BIGINT = 2**63 - 1
Id = Annotated[int, Field(ge=1, le=_BIGINT)]
Ids = Annotated[list[Id], Field(max_length=MOST_AT_ONCE)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Key = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{8,64}$")]
Name = Annotated[Text, Field(max_length=200)]
Score = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
COUNTED = 1000


class Filters(BaseModel):
    """All that are given must hold. `category` takes in what lies below it.

    One that there is not is refused: leaving it out would show, and have decided, everything.
    """

    model_config = ConfigDict(extra="forbid")

    campaign: Name | None = None
    scene: Name | None = None
    category: Name | None = None
    reason: Name | None = None
    score: Name | None = None
    score_min: Score | None = None
    score_max: Score | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        """An empty field of a form says nothing."""
        return None if value == "" else value

    def chosen(self) -> ReviewFilter:
        return ReviewFilter(
            campaign=self.campaign,
            scene=self.scene,
            category=self.category,
            reason=self.reason,
            score=self.score,
            score_min=self.score_min if self.score else None,
            score_max=self.score_max if self.score else None,
        )


class Wanted(Filters):
    """`without`: creatives that were skipped."""

    count: int = Field(default=1, ge=1, le=MOST_AT_ONCE)
    without: list[Id] = Field(default=[], max_length=5000)


class Next(BaseModel):
    """`claim_s`: for how long the items are the caller's, unless `renew`ed."""

    items: list[ShownItem]
    claim_s: float


class Held(BaseModel):
    creatives: Ids


class Released(BaseModel):
    released: int


class Choice(BaseModel):
    """The image that was seen, and the newest review that was seen with it."""

    creative: Id
    image_sha256: Sha256
    last_review: Id | None = None

    def chosen(self) -> ReviewChoice:
        return ReviewChoice(self.creative, self.image_sha256, self.last_review)


class Word(BaseModel):
    """`key` is the caller's own: what is sent twice under one key is stored once."""

    decision: Literal["approve", "reject"]
    reason: Annotated[Text, Field(max_length=40)] = ""
    key: Key

    def said_by(self, person: Person) -> ReviewWord:
        return ReviewWord(person.name, ReviewDecision(self.decision), self.key, self.reason)


class Decision(Choice, Word):
    pass


class BulkDecision(Word):
    choices: list[Choice] = Field(min_length=1, max_length=MOST_AT_ONCE)


class Undo(BaseModel):
    key: Key
    """Of the undoing itself."""


class Outcome(BaseModel):
    """Of one of several decisions: the review, or why there is none."""

    creative: int
    review: ShownReview | None
    error: str | None


class Outcomes(BaseModel):
    decided: list[Outcome]


class Queue(BaseModel):
    """`waiting` is counted up to `counted`."""

    waiting: int
    counted: int = COUNTED
    choices: dict[str, list[str]]


@router.get("/review/queue")
def queue(person: Viewer, env: Env, filters: Annotated[Filters, Query()]) -> Queue:
    """How much waits, and what it can be filtered by."""
    del person
    return Queue(
        waiting=reviewing.waiting(env, filters.chosen(), at_most=COUNTED),
        choices={name: list(values) for name, values in reviewing.choices(env).items()},
    )


@router.post("/review/next")
def next_items(request: Request, person: Reviewer, env: Env, wanted: Wanted) -> Next:
    """The next items, nearest to the gates first, claimed: nobody else gets them meanwhile."""
    items = reviewing.next_items(
        env, person.name, wanted.chosen(), count=wanted.count, without=wanted.without
    )
    return Next(items=[shown(request, i) for i in items], claim_s=reviewing.CLAIM_S)


@router.post("/review/claims/renew")
def renew(person: Reviewer, env: Env, held: Held) -> Held:
    """Keeps claims; answers with those that are still the caller's."""
    return Held(creatives=list(reviewing.renew(env, person.name, held.creatives)))


@router.post("/review/claims/release")
def release(person: Reviewer, env: Env, held: Held) -> Released:
    """Gives claims up."""
    return Released(released=reviewing.release(env, person.name, held.creatives))


@router.get("/review/creatives/{creative}")
def as_it_stands(request: Request, person: Viewer, env: Env, creative: IdPath) -> ShownItem:
    """One creative with its newest image and review."""
    del person
    return shown(request, reviewing.look_at(env, creative))


@router.post("/review/decisions")
def decide(
    request: Request, person: Reviewer, env: Env, dashboard: TheDashboard, decision: Decision
) -> ShownReview:
    """Stores a decision. 409: the image changed, or somebody else has decided; look again."""
    word = decision.said_by(person)
    review = reviewing.decide(env, decision.chosen(), word, dashboard.review_reasons)
    audit(
        request, person, act=f"creative.{decision.decision}",
        subject=f"creative {decision.creative}",
        details={"image": review.image_sha256, "reason": review.reason, "review": review.id},
    )  # fmt: skip
    return shown_review(review)


@router.post("/review/decisions/bulk")
def decide_all(
    request: Request, person: Reviewer, env: Env, dashboard: TheDashboard, decision: BulkDecision
) -> Outcomes:
    """The same decision on several images; those that changed meanwhile are left out and said."""
    choices = [c.chosen() for c in decision.choices]
    word = decision.said_by(person)
    decided = reviewing.decide_all(env, choices, word, dashboard.review_reasons)
    audit(
        request, person, act=f"creative.{decision.decision}", subject=_counted(decided),
        details={"reason": decision.reason, "key": decision.key, **_numbers(decided)},
    )  # fmt: skip
    return _outcomes(decided)


@router.post("/review/decisions/{key}/undo")
def undo(
    request: Request,
    person: Reviewer,
    env: Env,
    key: Annotated[str, Path(pattern="^[A-Za-z0-9_-]{8,64}$")],
    undoing: Undo,
) -> Outcomes:
    """Takes back what the caller decided under `key`, one or many; the items wait again."""
    undone = reviewing.undo(env, key, reviewer=person.name, key=undoing.key)
    audit(
        request, person, act="creative.undo", subject=_counted(undone),
        details={"undone": key, **_numbers(undone)},
    )  # fmt: skip
    return _outcomes(undone)


def _outcomes(decided: tuple[Decided, ...]) -> Outcomes:
    return Outcomes(
        decided=[
            Outcome(
                creative=d.creative_id,
                review=shown_review(d.review) if d.review else None,
                error=d.error.message if d.error else None,
            )
            for d in decided
        ]
    )


def _counted(decided: tuple[Decided, ...]) -> str:
    done = [d.creative_id for d in decided if d.review is not None]
    return f"creative {done[0]}" if len(done) == 1 else f"{len(done)} creatives"


def _numbers(decided: tuple[Decided, ...]) -> dict[str, list[int]]:
    return {
        "creatives": [d.creative_id for d in decided if d.review],
        "left_out": [d.creative_id for d in decided if not d.review],
    }
