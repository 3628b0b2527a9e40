"""Reviews: a person's word on one image of a creative. They are added, never changed."""

from sqlalchemy import select, text

from adloom.records import ReviewRecord
from adloom.states import ReviewDecision
from db.engine import Transaction
from db.near import not_found
from db.schema.campaigns import Creative, Review
from db.text import bounded

_ADD = text("""
INSERT INTO review (workspace_id, creative_id, image_sha256, reviewer, decision, reason)
VALUES (:ws, :creative, :image, :reviewer, CAST(:decision AS review_decision), :reason)
""")


def add(
    tx: Transaction,
    ws: int,
    creative_id: int,
    *,
    image_sha256: str,
    reviewer: str,
    decision: ReviewDecision,
    reason: str = "",
) -> ReviewRecord:
    """Adds a review; the newest of an image counts. Raises NotFoundError."""
    owner = select(Creative.id).where(Creative.id == creative_id, Creative.workspace_id == ws)
    if tx.scalar(owner) is None:
        raise not_found("creative", [str(creative_id)], [])
    values = {
        "ws": ws,
        "creative": creative_id,
        "image": image_sha256,
        "reviewer": bounded(reviewer),
        "decision": decision.value,
        "reason": bounded(reason),
    }
    tx.execute(_ADD, values)
    return of_creative(tx, creative_id)[-1]


def of_creative(tx: Transaction, creative_id: int) -> tuple[ReviewRecord, ...]:
    """All reviews of a creative, oldest first."""
    query = select(Review).where(Review.creative_id == creative_id).order_by(Review.id)
    return tuple(
        ReviewRecord(
            r.creative_id,
            r.image_sha256,
            r.reviewer,
            ReviewDecision(r.decision),
            r.reason,
            r.created_at,
        )
        for r in tx.scalars(query)
    )
