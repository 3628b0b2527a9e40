"""Reviewing: items to look at, people's words on them, and taking words back."""

from collections.abc import Sequence
from dataclasses import dataclass

from adloom.errors import AdloomError, ConflictError, InvalidInputError, NotFoundError
from adloom.records import (
    Claimed,
    CreativeView,
    ReviewChoice,
    ReviewFilter,
    ReviewRecord,
    ReviewWord,
    Sibling,
)
from adloom.review_reasons import ReviewReason
from adloom.states import ReviewDecision
from db.engine import Transaction
from db.queries import creatives, review_queue, reviews, siblings
from tasks.environment import Environment

CLAIM_S = 120.0
"""How long an item stays a reviewer's without a sign of life."""

MOST_AT_ONCE = 60


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """All that a reviewer sees of a creative. `last_review`: the newest word on its image."""

    view: CreativeView
    claim: Claimed | None
    last_review: ReviewRecord | None
    siblings: tuple[Sibling, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of one of several words: the review, or the error that kept it out."""

    creative_id: int
    review: ReviewRecord | None
    error: AdloomError | None


def next_items(
    env: Environment,
    reviewer: str,
    chosen: ReviewFilter,
    *,
    count: int = 1,
    without: Sequence[int] = (),
) -> tuple[ReviewItem, ...]:
    """The next items to look at, claimed for the reviewer; `without` those that were skipped."""
    count = max(1, min(count, MOST_AT_ONCE))
    with env.database.transaction() as tx:
        claimed = review_queue.claim(
            tx, env.workspace_id, reviewer, chosen, limit=count, ttl_s=CLAIM_S, without=without
        )
        return _items(tx, env, claimed)


def look_at(env: Environment, creative_id: int) -> ReviewItem:
    """One creative as it stands now, whoever has claimed it. Raises NotFoundError."""
    with env.database.transaction() as tx:
        view = creatives.get(tx, env.workspace_id, creative_id)
        image = view.rendition.sha256 if view.rendition else ""
        return ReviewItem(
            view,
            None,
            reviews.last_of(tx, creative_id, image),
            siblings.of_creatives(tx, env.workspace_id, [creative_id])[creative_id],
        )


def renew(env: Environment, reviewer: str, held: Sequence[int]) -> tuple[int, ...]:
    """Keeps the reviewer's claims; returns those that are still the reviewer's."""
    with env.database.transaction() as tx:
        return review_queue.renew(tx, env.workspace_id, reviewer, held, ttl_s=CLAIM_S)


def release(env: Environment, reviewer: str, held: Sequence[int]) -> int:
    """Gives claims up, for others to look at."""
    with env.database.transaction() as tx:
        return review_queue.release(tx, env.workspace_id, reviewer, held)


def waiting(env: Environment, chosen: ReviewFilter, *, at_most: int = 1000) -> int:
    """How many items wait, counted up to `at_most`."""
    with env.database.transaction() as tx:
        return review_queue.waiting(tx, env.workspace_id, chosen, at_most=at_most)


def choices(env: Environment) -> dict[str, tuple[str, ...]]:
    """What the queue can be filtered by."""
    with env.database.transaction() as tx:
        return review_queue.choices(tx, env.workspace_id)


def decide(
    env: Environment, choice: ReviewChoice, word: ReviewWord, reasons: Sequence[ReviewReason]
) -> ReviewRecord:
    """Stores a person's word on the image that was seen, and lets the creative follow it.

    Raises ImageChangedError, DecidedMeanwhileError, NotFoundError, and InvalidInputError for a
    rejection without one of `reasons`.
    """
    word = _checked(word, reasons)
    with env.database.transaction() as tx:
        return reviews.decide(tx, env.workspace_id, choice, word)


def decide_all(
    env: Environment,
    choices: Sequence[ReviewChoice],
    word: ReviewWord,
    reasons: Sequence[ReviewReason],
) -> tuple[Decided, ...]:
    """The same word on several images, in one transaction: those that changed, or that somebody
    else has decided on, are left out and said. Raises InvalidInputError as `decide` does."""
    word = _checked(word, reasons)
    decided: list[Decided] = []
    with env.database.transaction() as tx:
        for choice in sorted(choices, key=lambda c: c.creative_id):
            try:
                review = reviews.decide(tx, env.workspace_id, choice, word)
                decided.append(Decided(choice.creative_id, review, None))
            except (ConflictError, NotFoundError) as error:
                decided.append(Decided(choice.creative_id, None, error))
    return tuple(decided)


def undo(env: Environment, undone_key: str, *, reviewer: str, key: str) -> tuple[Decided, ...]:
    """Takes back all the words that the reviewer gave under `undone_key`: one, or a bulk decision.

    Words that somebody has overruled meanwhile stay and are said. Raises NotFoundError where no
    word was given under that key.
    """
    undone: list[Decided] = []
    with env.database.transaction() as tx:
        words = reviews.of_key(tx, env.workspace_id, undone_key)
        if not words:
            raise NotFoundError("no decision was stored under this key")
        for creative_id, image in words:
            try:
                review = reviews.undo(
                    tx, env.workspace_id, creative_id, image,
                    reviewer=reviewer, key=key, claim_s=CLAIM_S,
                )  # fmt: skip
                undone.append(Decided(creative_id, review, None))
            except (ConflictError, NotFoundError) as error:
                undone.append(Decided(creative_id, None, error))
    return tuple(undone)


def history(env: Environment, creative_id: int) -> tuple[ReviewRecord, ...]:
    """All words on a creative, oldest first."""
    with env.database.transaction() as tx:
        return reviews.of_creative(tx, creative_id)


def _checked(word: ReviewWord, reasons: Sequence[ReviewReason]) -> ReviewWord:
    codes = [r.code for r in reasons]
    if word.decision is ReviewDecision.REJECT and word.reason not in codes:
        raise InvalidInputError(
            f"'{word.reason[:60]}' is no reason to reject", hint=", ".join(codes)
        )
    if word.decision is ReviewDecision.UNDO:
        raise InvalidInputError("a word is taken back by its key")
    return word


def _items(tx: Transaction, env: Environment, claimed: Sequence[Claimed]) -> tuple[ReviewItem, ...]:
    views = creatives.of_items(tx, env.workspace_id, [c.run_item_id for c in claimed])
    words = reviews.newest(tx, {c.creative_id: c.image_sha256 for c in claimed})
    beside = siblings.of_creatives(tx, env.workspace_id, [c.creative_id for c in claimed])
    return tuple(
        ReviewItem(views[c.run_item_id], c, words.get(c.creative_id), beside.get(c.creative_id, ()))
        for c in claimed
        if c.run_item_id in views
    )
