"""Workspaces."""

from sqlalchemy import select, text

from db.engine import Transaction
from db.near import not_found
from db.schema.catalog import Workspace

_ENSURE = text("INSERT INTO workspace (slug) VALUES (:slug) ON CONFLICT (slug) DO NOTHING")


def ensure(tx: Transaction, slug: str) -> int:
    """The id of the workspace, made if there is none."""
    found = tx.scalar(select(Workspace.id).where(Workspace.slug == slug))
    if found is None:
        tx.execute(_ENSURE, {"slug": slug})
        found = tx.scalars(select(Workspace.id).where(Workspace.slug == slug)).one()
    return found


def get(tx: Transaction, slug: str) -> int:
    """The id of the workspace. Raises NotFoundError."""
    found = tx.scalar(select(Workspace.id).where(Workspace.slug == slug))
    if found is None:
        raise not_found("workspace", [slug], tx.scalars(select(Workspace.slug)))
    return found
