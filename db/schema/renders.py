"""Renders, the batches they are made in, their finished files and scores."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from adloom.scores import Stage
from adloom.states import AttemptEnding, BatchState, RenderState
from db.schema.base import Base, Created, Id, Json, WorkspaceId, enum_of

RENDER_STATE = enum_of(RenderState, "render_state")
BATCH_STATE = enum_of(BatchState, "batch_state")
STAGE = enum_of(Stage, "stage")
ATTEMPT_ENDING = enum_of(AttemptEnding, "attempt_ending")

_BATCH_GROUP = (
    "(spec->>'weights_hash') || ' ' || (spec->>'dtype') || ' ' || "
    "(spec->'native'->>'width') || 'x' || (spec->'native'->>'height')"
)
_REFERENCE = "(spec->>'photo_sha256') || ' ' || (spec->>'mask_sha256')"


class Batch(Base):
    """Renders that one worker makes in one go. `lease_epoch` is the fence of every write.

    `submitted_at`: when it was last handed to a fleet, None if it waits to be; `taken_by`: the
    process that took it from there and has not begun it yet.
    """

    __tablename__ = "batch"
    __table_args__ = (
        Index(
            "ix_batch_live",
            "run_id",
            postgresql_where=text("state IN ('pending', 'leased')"),
        ),
        Index(
            "ix_batch_submitted",
            "workspace_id",
            "id",
            postgresql_where=text("state IN ('pending', 'leased') AND submitted_at IS NOT NULL"),
        ),
        Index(None, "run_id", "id"),
        CheckConstraint(
            "state <> 'leased' OR (lease_owner IS NOT NULL AND lease_expires_at IS NOT NULL)",
            name="leased_by_someone",
        ),
        CheckConstraint("state <> 'failed' OR error_class IS NOT NULL", name="failed_for_a_reason"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    state: Mapped[BatchState] = mapped_column(BATCH_STATE, server_default=text("'pending'"))
    size: Mapped[int]
    lease_owner: Mapped[str | None]
    lease_epoch: Mapped[int] = mapped_column(server_default=text("0"))
    lease_expires_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    prefect_flow_run_id: Mapped[str | None]
    submitted_at: Mapped[datetime | None]
    submissions: Mapped[int] = mapped_column(server_default=text("0"))
    taken_by: Mapped[str | None]
    split_from: Mapped[int | None] = mapped_column(ForeignKey("batch.id"))
    error_class: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[Created]
    ended_at: Mapped[datetime | None]


class BatchAttempt(Base):
    """One claim of a batch: who held it, with how many renders to make, and how it ended."""

    __tablename__ = "batch_attempt"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (ending IS NULL)", name="ended_somehow"),
        Index(None, "workspace_id", "ended_at"),
    )
    batch_id: Mapped[int] = mapped_column(
        ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[WorkspaceId]
    owner: Mapped[str]
    worker: Mapped[str]
    renders: Mapped[int]
    started_at: Mapped[Created]
    ended_at: Mapped[datetime | None]
    ending: Mapped[AttemptEnding | None] = mapped_column(ATTEMPT_ENDING)
    error_class: Mapped[str | None]
    error_message: Mapped[str | None]


class Render(Base):
    """What one fully resolved RenderSpec gives.

    `batch_group` is what a batch has in common, `reference` what reference features are made of;
    both are read from the spec by Postgres.
    """

    __tablename__ = "render"
    __table_args__ = (
        UniqueConstraint("workspace_id", "fingerprint"),
        Index("ix_render_batch", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
        Index("ix_render_unrendered", "id", postgresql_where=text("state <> 'rendered'")),
        Index(
            "ix_render_ended_badly",
            "workspace_id",
            "state",
            postgresql_where=text("state IN ('failed', 'cancelled')"),
        ),
        CheckConstraint(
            "state <> 'rendered' OR (object_key IS NOT NULL AND sha256 IS NOT NULL)",
            name="rendered_has_object",
        ),
        CheckConstraint("state <> 'leased' OR batch_id IS NOT NULL", name="leased_in_batch"),
        CheckConstraint("state <> 'failed' OR error_class IS NOT NULL", name="failed_for_a_reason"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    fingerprint: Mapped[str]
    spec: Mapped[Json]
    batch_group: Mapped[str] = mapped_column(Computed(_BATCH_GROUP, persisted=True))
    reference: Mapped[str] = mapped_column(Computed(_REFERENCE, persisted=True))
    state: Mapped[RenderState] = mapped_column(RENDER_STATE, server_default=text("'pending'"))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batch.id"))
    batch_position: Mapped[int | None]
    object_key: Mapped[str | None]
    sha256: Mapped[str | None]
    bytes: Mapped[int | None]
    device: Mapped[str | None]
    timings: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    error_class: Mapped[str | None]
    error_message: Mapped[str | None]
    error_retryable: Mapped[bool | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[Created]
    ended_at: Mapped[datetime | None]


class RenderFailure(Base):
    """One failure of a render, kept for good; a trigger on `render` writes it. `attempts`: how
    often the render had been tried by then."""

    __tablename__ = "render_failure"
    __table_args__ = (Index(None, "render_id", "id"),)
    id: Mapped[Id]
    render_id: Mapped[int] = mapped_column(ForeignKey("render.id"))
    batch_id: Mapped[int | None]
    attempts: Mapped[int]
    error_class: Mapped[str]
    error_message: Mapped[str]
    error_retryable: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class FinishingRecipe(Base):
    """A FinishingSpec under its hash."""

    __tablename__ = "finishing_recipe"
    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    finish_hash: Mapped[str] = mapped_column(primary_key=True)
    spec: Mapped[Json]
    created_at: Mapped[Created]


class Rendition(Base):
    """A finished file."""

    __tablename__ = "rendition"
    __table_args__ = (
        UniqueConstraint("workspace_id", "render_id", "finish_hash"),
        Index(None, "object_key"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    render_id: Mapped[int] = mapped_column(ForeignKey("render.id"))
    finish_hash: Mapped[str]
    sha256: Mapped[str]
    object_key: Mapped[str]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    details: Mapped[Json]
    created_at: Mapped[Created]


class FinishingFailure(Base):
    """A finishing that failed. While it `blocks`, items that want it end as failed."""

    __tablename__ = "finishing_failure"
    render_id: Mapped[int] = mapped_column(ForeignKey("render.id"), primary_key=True)
    finish_hash: Mapped[str] = mapped_column(primary_key=True)
    error_class: Mapped[str]
    error_message: Mapped[str]
    error_retryable: Mapped[bool]
    attempts: Mapped[int] = mapped_column(server_default=text("1"))
    blocks: Mapped[bool] = mapped_column(server_default=text("true"))
    updated_at: Mapped[Created]


class Score(Base):
    """Values measured on a picture. `finish_hash` is 'raw' for the render itself."""

    __tablename__ = "score"
    render_id: Mapped[int] = mapped_column(ForeignKey("render.id"), primary_key=True)
    stage: Mapped[Stage] = mapped_column(STAGE, primary_key=True)
    finish_hash: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[WorkspaceId]
    values: Mapped[Json]
    created_at: Mapped[Created]
