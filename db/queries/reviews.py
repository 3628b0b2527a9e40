"""Reviews: a person's word on one image of a creative. They are added, never changed; the newest
of an image counts, and taking a word back adds another."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, text

from adloom.errors import ConflictError, DecidedMeanwhileError, ImageChangedError
from adloom.records import ReviewChoice, ReviewRecord, ReviewWord
from adloom.states import Outcome, ReviewDecision
from db.engine import Transaction
from db.near import not_found
from db.queries import judging, review_queue
from db.schema.campaigns import Creative, Review
from db.text import bounded, storable

_ADD = text("""
INSERT INTO review (workspace_id, creative_id, image_sha256, reviewer, decision, reason, key)
VALUES (:ws, :creative, :image, :reviewer, CAST(:decision AS review_decision), :reason, :key)
RETURNING *
""")

# The item before the creative: the order in which judging locks them.
_NEWEST = text("""
SELECT i.id, i.outcome, i.render_id, i.finish_hash FROM run_item i
WHERE i.workspace_id = :ws AND i.creative_id = :creative AND i.outcome <> 'superseded'
ORDER BY i.id DESC LIMIT 1 FOR NO KEY UPDATE
""")
_IMAGE = text("""
SELECT d.sha256 FROM rendition d
WHERE d.workspace_id = :ws AND d.render_id = :render AND d.finish_hash = :finish_hash
""")

_OF_KEY = text("""
SELECT * FROM review WHERE workspace_id = :ws AND key = :key AND creative_id = :creative
""")
_CREATIVES_OF_KEY = text("""
SELECT creative_id, image_sha256 FROM review
WHERE workspace_id = :ws AND key = :key ORDER BY creative_id
""")
_LAST = text("""
SELECT * FROM review WHERE creative_id = :creative AND image_sha256 = :image
ORDER BY id DESC LIMIT 1
""")

_LAST_OF_EACH = text("""
SELECT r.* FROM unnest(CAST(:creatives AS bigint[]), CAST(:images AS text[])) AS w(creative, image)
CROSS JOIN LATERAL (
    SELECT * FROM review v WHERE v.creative_id = w.creative AND v.image_sha256 = w.image
    ORDER BY v.id DESC LIMIT 1
) r
""")

_SET_OUTCOME = text("""
UPDATE run_item SET outcome = CAST(:outcome AS outcome), ended_at = now()
WHERE id = :item AND outcome IN ('approved', 'rejected', 'needs_review')
RETURNING id
""")
_LEAVE_QUEUE = text("DELETE FROM review_queue WHERE creative_id = :creative")

# What the gates had said before the first of these words.
_VERDICT = text("""
SELECT v.decision FROM verdict v
WHERE v.run_item_id = :item AND v.created_at <= (SELECT min(r.created_at) FROM review r
    WHERE r.creative_id = :creative AND r.image_sha256 = :image)
ORDER BY v.created_at DESC, v.id DESC LIMIT 1
""")

_OUTCOMES = {
    ReviewDecision.APPROVE: Outcome.APPROVED,
    ReviewDecision.REJECT: Outcome.REJECTED,
}


def add(
    tx: Transaction,
    ws: int,
    creative_id: int,
    *,
    image_sha256: str,
    reviewer: str,
    decision: ReviewDecision,
    reason: str = "",
    key: str | None = None,
) -> ReviewRecord:
    """Adds a review and no more: what it does to the run's item is `decide`'s. Raises
    NotFoundError."""
    owner = select(Creative.id).where(Creative.id == creative_id, Creative.workspace_id == ws)
    if tx.scalar(owner) is None:
        raise not_found("creative", [str(creative_id)], [])
    values = {
        "ws": ws,
        "creative": creative_id,
        "image": storable(image_sha256),
        "reviewer": bounded(reviewer),
        "decision": decision.value,
        "reason": bounded(reason),
        "key": None if key is None else storable(key),
    }
    return _record(tx.execute(_ADD, values).one())


def decide(tx: Transaction, ws: int, choice: ReviewChoice, word: ReviewWord) -> ReviewRecord:
    """Adds a person's word on the image that was seen, and lets the newest run item follow it.

    The item becomes approved or rejected and leaves the queue; one that is still to be judged will
    be judged by the word. Under a key that is known for this creative nothing is added.

    Raises ImageChangedError where the creative has another image by now, DecidedMeanwhileError
    where a newer review of it was not seen, and NotFoundError.
    """
    item = _held(tx, ws, choice.creative_id)
    known = tx.execute(
        _OF_KEY, {"ws": ws, "key": storable(word.key), "creative": choice.creative_id}
    ).one_or_none()
    if known is not None:
        return _record(known)
    if _image(tx, ws, item) != choice.image_sha256:
        raise ImageChangedError(where=f"creative {choice.creative_id}", hint="look at it again")
    last = last_of(tx, choice.creative_id, choice.image_sha256)
    if last is not None and last.id != choice.last_review:
        raise DecidedMeanwhileError(
            f"{last.reviewer} has said '{last.decision}' meanwhile",
            where=f"creative {choice.creative_id}",
            hint="look at it again",
        )
    review = _add(tx, ws, choice, word)
    _follow(tx, item, _OUTCOMES[word.decision])
    tx.execute(_LEAVE_QUEUE, {"creative": choice.creative_id})
    return review


def undo(
    tx: Transaction,
    ws: int,
    creative_id: int,
    image_sha256: str,
    *,
    reviewer: str,
    key: str,
    claim_s: float,
) -> ReviewRecord:
    """Takes the reviewer's own word on an image back, by a further row.

    The item is again what the gates made of it; one that needs review waits again, claimed for
    `claim_s` seconds. Raises ConflictError where the newest word is another's or there is none, and
    NotFoundError.
    """
    item = _held(tx, ws, creative_id)
    values = {"ws": ws, "key": storable(key), "creative": creative_id}
    known = tx.execute(_OF_KEY, values).one_or_none()
    if known is not None:
        return _record(known)
    last = last_of(tx, creative_id, image_sha256)
    if last is None or last.decision is ReviewDecision.UNDO:
        raise ConflictError("there is nothing to take back", where=f"creative {creative_id}")
    if last.reviewer != bounded(reviewer):
        raise ConflictError(
            f"the newest word is {last.reviewer}'s", where=f"creative {creative_id}",
            hint="decide anew instead",
        )  # fmt: skip
    choice = ReviewChoice(creative_id, image_sha256)
    review = _add(tx, ws, choice, ReviewWord(reviewer, ReviewDecision.UNDO, key))
    if _image(tx, ws, item) == image_sha256:
        before = {"item": item.id, "creative": creative_id, "image": image_sha256}
        verdict = tx.execute(_VERDICT, before).scalar_one_or_none()
        _follow(tx, item, Outcome(verdict or Outcome.NEEDS_REVIEW))
        review_queue.claim_back(tx, creative_id, reviewer, ttl_s=claim_s)
    return review


def of_key(tx: Transaction, ws: int, key: str) -> tuple[tuple[int, str], ...]:
    """The creatives, with their images, on which words were added under a key."""
    rows = tx.execute(_CREATIVES_OF_KEY, {"ws": ws, "key": storable(key)})
    return tuple((r.creative_id, r.image_sha256) for r in rows)


def last_of(tx: Transaction, creative_id: int, image_sha256: str) -> ReviewRecord | None:
    """The newest word on an image, which may be `undo`."""
    values = {"creative": creative_id, "image": storable(image_sha256)}
    row = tx.execute(_LAST, values).one_or_none()
    return None if row is None else _record(row)


def of_creative(tx: Transaction, creative_id: int) -> tuple[ReviewRecord, ...]:
    """All reviews of a creative, oldest first."""
    query = select(Review).where(Review.creative_id == creative_id).order_by(Review.id)
    return tuple(_record(r) for r in tx.scalars(query))


def newest(tx: Transaction, images: Mapping[int, str]) -> dict[int, ReviewRecord]:
    """The newest word on each creative's image, by creative; those without one are left out."""
    values = {"creatives": list(images), "images": list(images.values())}
    return {row.creative_id: _record(row) for row in tx.execute(_LAST_OF_EACH, values)}


def _held(tx: Transaction, ws: int, creative_id: int) -> Any:
    """The newest live item, locked: words on a creative, and its judging, come one by one."""
    item = tx.execute(_NEWEST, {"ws": ws, "creative": creative_id}).one_or_none()
    if item is None:
        raise not_found("creative", [str(creative_id)], [])
    return item


def _image(tx: Transaction, ws: int, item: Any) -> str | None:
    values = {"ws": ws, "render": item.render_id, "finish_hash": item.finish_hash}
    return tx.execute(_IMAGE, values).scalar_one_or_none()


def _add(tx: Transaction, ws: int, choice: ReviewChoice, word: ReviewWord) -> ReviewRecord:
    return add(
        tx,
        ws,
        choice.creative_id,
        image_sha256=choice.image_sha256,
        reviewer=word.reviewer,
        decision=word.decision,
        reason=word.reason,
        key=word.key,
    )


def _follow(tx: Transaction, item: Any, outcome: Outcome) -> None:
    values = {"item": item.id, "outcome": outcome.value}
    judging.settle(tx, list(tx.execute(_SET_OUTCOME, values).scalars()))


def _record(row: Any) -> ReviewRecord:
    return ReviewRecord(
        row.creative_id,
        row.image_sha256,
        row.reviewer,
        ReviewDecision(row.decision),
        row.reason,
        row.created_at,
        row.id,
        row.key,
    )
