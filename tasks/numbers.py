"""What gates and reviewers say of the same images."""

from datetime import datetime

from adloom.agreement import Agreement, agreement
from adloom.gates import Decision, detail_lock_reasons, judge
from db.engine import Transaction
from db.queries.dashboard import numbers


def agreement_of(
    tx: Transaction, ws: int, *, since: datetime | None = None, campaign: str | None = None
) -> Agreement:
    """How the gates of their runs judge the images that people reviewed lately.

    Judged here from the stored scores: a verdict of the database may be the review itself.
    """
    images = numbers.reviewed(tx, ws, since=since, campaign=campaign)
    gates = numbers.gates_of(tx, {image.run_id for image in images})

    def decided(image: numbers.ReviewedImage) -> Decision:
        lock, agreed = image.details.get("detail_lock"), image.details.get("agreement")
        extra = detail_lock_reasons(lock, agreed, min_agreement=0.0)
        return judge(image.scores, gates[image.run_id], extra=extra).decision

    return agreement((decided(image), image.decision) for image in images)
