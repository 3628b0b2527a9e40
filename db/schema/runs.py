"""Runs, their items, and the verdicts on them."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from adloom.gates import Decision
from adloom.states import Disposition, Outcome, RunState, Trigger
from db.schema.base import Base, Created, Id, Json, WorkspaceId, enum_of

RUN_STATE = enum_of(RunState, "run_state")
TRIGGER = enum_of(Trigger, "run_trigger")
DISPOSITION = enum_of(Disposition, "disposition")
OUTCOME = enum_of(Outcome, "outcome")
DECISION = enum_of(Decision, "decision")


class Run(Base):
    """One execution of a campaign, with the spec as it was.

    `stopped_for`: why it submits no more, such as its budget; `spent_since`: what was made before
    counts no longer towards its budget, since it was opened again.
    """

    __tablename__ = "run"
    __table_args__ = (
        Index(None, "campaign_id", "id"),
        Index(
            "ix_run_live",
            "id",
            postgresql_where=text("state IN ('planning', 'rendering', 'judging')"),
        ),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    spec: Mapped[Json]
    weights_hash: Mapped[str | None]
    trigger: Mapped[Trigger] = mapped_column(TRIGGER)
    state: Mapped[RunState] = mapped_column(RUN_STATE, server_default=text("'planning'"))
    planned_slots: Mapped[int] = mapped_column(server_default=text("0"))
    lease_owner: Mapped[str | None]
    lease_epoch: Mapped[int] = mapped_column(server_default=text("0"))
    lease_expires_at: Mapped[datetime | None]
    prefect_flow_run_id: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    stopped_for: Mapped[str | None]
    spent_since: Mapped[datetime | None]
    error_class: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[Created]
    ended_at: Mapped[datetime | None]


class RunSkipped(Base):
    """A selected product from which no slot could be planned."""

    __tablename__ = "run_skipped"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    detail: Mapped[str]


class RunItem(Base):
    """A slot in a run, one row per draw; all but the last draw are superseded.

    Creative and render are no foreign keys, which would write to both at each insert; triggers keep
    their rows from being deleted.
    """

    __tablename__ = "run_item"
    __table_args__ = (
        UniqueConstraint("run_id", "creative_id", "draw"),
        Index(
            "uq_run_item_live",
            "run_id",
            "creative_id",
            unique=True,
            postgresql_where=text("outcome <> 'superseded'"),
        ),
        Index("ix_run_item_open", "run_id", "render_id", postgresql_where=text("outcome = 'open'")),
        Index(
            "ix_run_item_failed", "workspace_id", "id", postgresql_where=text("outcome = 'failed'")
        ),
        Index(None, "render_id"),
        Index(None, "creative_id", "id"),
        CheckConstraint(
            "outcome <> 'failed' OR (error_class IS NOT NULL AND error_message IS NOT NULL)",
            name="failed_for_a_reason",
        ),
    )
    id: Mapped[Id]
    workspace_id: Mapped[int]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    creative_id: Mapped[int]
    render_id: Mapped[int]
    scene_version: Mapped[int]
    draw: Mapped[int]
    finish_hash: Mapped[str]
    disposition: Mapped[Disposition] = mapped_column(DISPOSITION)
    outcome: Mapped[Outcome] = mapped_column(OUTCOME, server_default=text("'open'"))
    warning: Mapped[str | None]
    error_class: Mapped[str | None]
    error_message: Mapped[str | None]
    error_retryable: Mapped[bool | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[Created]
    ended_at: Mapped[datetime | None]


class Verdict(Base):
    """What a set of gates said of a run item."""

    __tablename__ = "verdict"
    __table_args__ = (UniqueConstraint("run_item_id", "gate_set_hash"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    run_item_id: Mapped[int] = mapped_column(ForeignKey("run_item.id"))
    gate_set_hash: Mapped[str]
    decision: Mapped[Decision] = mapped_column(DECISION)
    reasons: Mapped[list[Any]] = mapped_column(JSONB)
    created_at: Mapped[Created]
