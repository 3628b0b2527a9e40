"""Campaigns as a page lists them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from db.engine import Transaction

_PAGE = text("""
SELECT c.slug, c.title, c.updated_at, jsonb_array_length(c.spec->'scenes') AS scenes,
    jsonb_array_length(c.spec->'formats') AS formats,
    CAST(c.spec->>'variants' AS bigint) AS variants, r.id AS run_id,
    CAST(r.state AS text) AS run_state, r.created_at AS run_at
FROM campaign c LEFT JOIN LATERAL (
    SELECT x.id, x.state, x.created_at FROM run x WHERE x.campaign_id = c.id
    ORDER BY x.id DESC LIMIT 1) r ON true
WHERE c.workspace_id = :ws AND c.slug > :after ORDER BY c.slug LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """A campaign and its newest run, if it has run."""

    slug: str
    title: str
    updated_at: datetime
    scenes: int
    formats: int
    variants: int
    run_id: int | None
    run_state: str | None
    run_at: datetime | None


def page(tx: Transaction, ws: int, *, after: str = "", limit: int = 50) -> tuple[CampaignLine, ...]:
    """Campaigns by name, those beyond `after`."""
    values = {"ws": ws, "after": after, "limit": limit}
    return tuple(CampaignLine(*r) for r in tx.execute(_PAGE, values))
