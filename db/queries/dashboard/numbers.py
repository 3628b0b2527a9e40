"""Yields and costs over many runs, from their kept figures, and what reviewers said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from adloom.gates import Gate
from adloom.states import Outcome, ReviewDecision
from db.engine import Transaction

REVIEWS_READ = 400

_SINCE = """
(SELECT coalesce(min(id), 9223372036854775807) FROM run WHERE workspace_id = :ws
    AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since))
"""

_YIELDS = text(f"""
SELECT y.value, CAST(y.outcome AS text) AS outcome, sum(y.items) AS n
FROM run_yield y JOIN run r ON r.id = y.run_id JOIN campaign c ON c.id = r.campaign_id
WHERE y.workspace_id = :ws AND y.dimension = :dimension AND y.run_id >= {_SINCE}
    AND (CAST(:campaign AS text) IS NULL OR c.slug = :campaign)
GROUP BY 1, 2 ORDER BY 1, 2
""")

_COSTS = text(f"""
SELECT c.slug AS campaign, count(*) AS runs,
    sum(CAST(f.body->>'rendered' AS bigint)) AS rendered,
    sum(CAST(f.body->>'render_s' AS float8)) AS render_s,
    sum(coalesce(CAST(f.body->'outcomes'->>'approved' AS bigint), 0)) AS approved
FROM run_figures f JOIN run r ON r.id = f.run_id JOIN campaign c ON c.id = r.campaign_id
WHERE f.workspace_id = :ws AND f.run_id >= {_SINCE}
    AND (CAST(:campaign AS text) IS NULL OR c.slug = :campaign)
GROUP BY 1 ORDER BY 1
""")

# The newest word on each image, unless it was taken back, beside what was measured of it.
_REVIEWED = text("""
WITH newest AS (
    SELECT id, creative_id, image_sha256, decision FROM review
    WHERE workspace_id = :ws AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
    ORDER BY id DESC LIMIT :limit
), last AS (
    SELECT DISTINCT ON (creative_id, image_sha256) * FROM newest
    ORDER BY creative_id, image_sha256, id DESC
)
SELECT CAST(l.decision AS text) AS decision, i.run_id, i.details, (
    SELECT jsonb_object_agg(s.stage || '.' || kv.key, kv.value ORDER BY s.created_at)
    FROM score s CROSS JOIN jsonb_each(s.values) AS kv
    WHERE s.render_id = i.render_id AND s.finish_hash IN ('raw', i.finish_hash)
        AND kv.value <> CAST('null' AS jsonb)) AS scores
FROM last l CROSS JOIN LATERAL (
    SELECT n.run_id, n.render_id, n.finish_hash, d.details FROM run_item n
    JOIN rendition d ON d.workspace_id = :ws AND d.render_id = n.render_id
        AND d.finish_hash = n.finish_hash AND d.sha256 = l.image_sha256
    WHERE n.creative_id = l.creative_id ORDER BY n.id DESC LIMIT 1) i
JOIN run r ON r.id = i.run_id JOIN campaign c ON c.id = r.campaign_id
WHERE l.decision <> 'undo' AND (CAST(:campaign AS text) IS NULL OR c.slug = :campaign)
""")

_GATES = text("SELECT id, spec->'gates' AS gates FROM run WHERE id = ANY (CAST(:runs AS bigint[]))")

_UNMEASURED = text("""
SELECT count(*) FROM run r WHERE r.workspace_id = :ws
    AND NOT EXISTS (SELECT FROM run_figures f WHERE f.run_id = r.id)
""")


@dataclass(frozen=True, slots=True)
class CampaignCost:
    """What the runs of a campaign rendered, in device time, and had approved at their end."""

    campaign: str
    runs: int
    rendered: int
    render_s: float
    approved: int


@dataclass(frozen=True, slots=True)
class ReviewedImage:
    """A person's word on an image, with what the gates of its run were given to judge."""

    decision: ReviewDecision
    run_id: int
    details: Mapping[str, Any]
    scores: Mapping[str, float]


def yields(
    tx: Transaction,
    ws: int,
    dimension: str,
    *,
    since: datetime | None = None,
    campaign: str | None = None,
) -> dict[str, dict[Outcome, int]]:
    """Live items of the runs begun `since`, by value of a dimension and by outcome."""
    values = {"ws": ws, "dimension": dimension, "since": since, "campaign": campaign}
    found: dict[str, dict[Outcome, int]] = {}
    for r in tx.execute(_YIELDS, values):
        found.setdefault(r.value, {})[Outcome(r.outcome)] = int(r.n)
    return found


def costs(
    tx: Transaction, ws: int, *, since: datetime | None = None, campaign: str | None = None
) -> tuple[CampaignCost, ...]:
    rows = tx.execute(_COSTS, {"ws": ws, "since": since, "campaign": campaign})
    return tuple(
        CampaignCost(r.campaign, r.runs, int(r.rendered), float(r.render_s), int(r.approved))
        for r in rows
    )


def reviewed(
    tx: Transaction, ws: int, *, since: datetime | None = None, campaign: str | None = None
) -> tuple[ReviewedImage, ...]:
    """The images of the newest REVIEWS_READ reviews, each once."""
    values = {"ws": ws, "since": since, "campaign": campaign, "limit": REVIEWS_READ}
    return tuple(
        ReviewedImage(ReviewDecision(r.decision), r.run_id, r.details, r.scores or {})
        for r in tx.execute(_REVIEWED, values)
    )


def gates_of(tx: Transaction, run_ids: set[int]) -> dict[int, tuple[Gate, ...]]:
    """The gates of some runs' frozen specs."""
    rows = tx.execute(_GATES, {"runs": sorted(run_ids)})
    return {r.id: tuple(Gate(**gate) for gate in r.gates) for r in rows}


def unmeasured(tx: Transaction, ws: int) -> int:
    """How many runs have no figures yet, and are missing from the numbers."""
    return tx.execute(_UNMEASURED, {"ws": ws}).scalar_one()
