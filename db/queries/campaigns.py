"""Campaigns as last applied."""

from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.errors import NotFoundError
from adloom.records import CampaignApplied, CampaignRecord, Change
from db.engine import Transaction
from db.near import not_found
from db.text import as_json

_BEFORE = text("""
SELECT content_hash, model_revision FROM campaign
WHERE workspace_id = :ws AND slug = :slug FOR NO KEY UPDATE
""")

_APPLY = text("""
INSERT INTO campaign (workspace_id, slug, title, spec, content_hash)
VALUES (:ws, :slug, :title, CAST(:spec AS jsonb), :content_hash)
ON CONFLICT (workspace_id, slug) DO UPDATE SET title = excluded.title, spec = excluded.spec,
    content_hash = excluded.content_hash, updated_at = now()
""")

_UNPIN = text("""
UPDATE campaign SET model_revision = NULL WHERE workspace_id = :ws AND slug = :slug
""")

_PIN = text("""
UPDATE campaign SET model_revision = coalesce(model_revision, :revision)
WHERE workspace_id = :ws AND id = :campaign AND updated_at = :as_of
RETURNING model_revision
""")

_SELECT = text("""
SELECT c.id, c.spec, c.created_at, c.updated_at, c.model_revision,
    (SELECT max(r.id) FROM run r WHERE r.campaign_id = c.id) AS last_run_id
FROM campaign c WHERE c.workspace_id = :ws AND (CAST(:slug AS text) IS NULL OR c.slug = :slug)
ORDER BY c.slug
""")

_LOCK = text("SELECT FROM campaign WHERE workspace_id = :ws AND slug = :slug FOR NO KEY UPDATE")

_SLUGS = text("SELECT slug FROM campaign WHERE workspace_id = :ws")


def apply(tx: Transaction, ws: int, spec: CampaignSpec) -> CampaignApplied:
    """Stores a campaign under its slug, new or in place of what it said before.

    Its next run pins it anew to the weights at hand, also where nothing has changed.
    """
    before = tx.execute(_BEFORE, {"ws": ws, "slug": spec.slug}).one_or_none()
    pinned = before.model_revision if before else None
    tx.execute(_UNPIN, {"ws": ws, "slug": spec.slug})
    if before and before.content_hash == spec.content_hash:
        return CampaignApplied(Change.UNCHANGED, pinned)
    tx.execute(
        _APPLY,
        {
            "ws": ws,
            "slug": spec.slug,
            "title": spec.title,
            "spec": as_json(spec.to_json()),
            "content_hash": spec.content_hash,
        },
    )
    return CampaignApplied(Change.CHANGED if before else Change.CREATED, pinned)


def pin_model(tx: Transaction, ws: int, read: CampaignRecord, weights_hash: str) -> str | None:
    """Pins a campaign to these weights unless it is pinned already; returns what it is pinned to.

    None if it says something else by now than when it was `read`: then nothing is pinned.
    """
    values = {"ws": ws, "campaign": read.id, "as_of": read.updated_at, "revision": weights_hash}
    return tx.execute(_PIN, values).scalar_one_or_none()


def get(tx: Transaction, ws: int, slug: str) -> CampaignRecord:
    """Raises NotFoundError with near matches."""
    row = tx.execute(_SELECT, {"ws": ws, "slug": slug}).one_or_none()
    if row is None:
        raise _no_campaign(tx, ws, slug)
    return _record(row)


def lock(tx: Transaction, ws: int, slug: str) -> None:
    """Until the commit nobody else begins a run of the campaign, or applies it."""
    tx.execute(_LOCK, {"ws": ws, "slug": slug})


def list_all(tx: Transaction, ws: int) -> tuple[CampaignRecord, ...]:
    return tuple(_record(row) for row in tx.execute(_SELECT, {"ws": ws, "slug": None}))


def slugs(tx: Transaction, ws: int) -> tuple[str, ...]:
    """The names of all campaigns, in order."""
    return tuple(sorted(tx.execute(_SLUGS, {"ws": ws}).scalars()))


def _no_campaign(tx: Transaction, ws: int, slug: str) -> NotFoundError:
    return not_found("campaign", [slug], slugs(tx, ws))


def _record(row: Any) -> CampaignRecord:
    return CampaignRecord(
        row.id,
        CampaignSpec.from_json(row.spec),
        row.created_at,
        row.updated_at,
        row.last_run_id,
        row.model_revision,
    )
