"""Creatives that must not be used. Both tables are append-only: triggers refuse changes."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.base import Base, Created, Id, WorkspaceId


class Recall(Base):
    """Somebody's word that creatives must not be used any more, or, as `undo`, may be used again.

    `product`, `sku`, `scene` and `campaign` are the conditions as they were given.
    """

    __tablename__ = "recall"
    __table_args__ = (Index(None, "workspace_id", "id"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    undo: Mapped[bool]
    issuer: Mapped[str]
    reason: Mapped[str]
    product: Mapped[str | None]
    sku: Mapped[str | None]
    scene: Mapped[str | None]
    campaign: Mapped[str | None]
    created_at: Mapped[Created]


class RecallCreative(Base):
    """A creative that a recall marked, or that its undoing unmarked."""

    __tablename__ = "recall_creative"
    __table_args__ = (Index(None, "creative_id"),)
    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"), primary_key=True)
    creative_id: Mapped[int] = mapped_column(primary_key=True)
