"""What was measured of runs, for pages that cannot wait until their items are counted."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from adloom.states import Outcome, RunState
from db.schema.base import Base, Json, WorkspaceId
from db.schema.runs import OUTCOME, RUN_STATE


class RunFigures(Base):
    """A run's figures when they were last measured, and how long measuring took, s."""

    __tablename__ = "run_figures"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[WorkspaceId]
    state: Mapped[RunState] = mapped_column(RUN_STATE)
    measured_at: Mapped[datetime]
    took_s: Mapped[float]
    body: Mapped[Json]


class RunYield(Base):
    """Live items of a run with one value of a dimension (scene, category, format), by outcome."""

    __tablename__ = "run_yield"
    __table_args__ = (Index(None, "workspace_id", "dimension", "run_id"),)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    dimension: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[Outcome] = mapped_column(OUTCOME, primary_key=True)
    workspace_id: Mapped[WorkspaceId]
    items: Mapped[int]
    examples: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
