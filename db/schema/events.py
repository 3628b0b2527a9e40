"""What happened to runs, on its way to webhooks."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.base import Base, Created, Id, Json, WorkspaceId


class RunEvent(Base):
    """Something to tell about a run, once per `occasion`; written with what it tells of.

    `webhook` is an endpoint's name: its address and secret are in settings alone. Delivered, or
    given up, it has no `next_attempt_at`.
    """

    __tablename__ = "run_event"
    __table_args__ = (
        UniqueConstraint("event_id"),
        UniqueConstraint("run_id", "event", "occasion"),
        Index(
            "ix_run_event_due",
            "workspace_id",
            "next_attempt_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
    )
    id: Mapped[Id]
    event_id: Mapped[uuid.UUID] = mapped_column(Uuid, server_default=text("gen_random_uuid()"))
    workspace_id: Mapped[WorkspaceId]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    event: Mapped[str]
    occasion: Mapped[str]
    webhook: Mapped[str]
    payload: Mapped[Json]
    created_at: Mapped[Created]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None] = mapped_column(server_default=text("now()"))
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
