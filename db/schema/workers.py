"""The processes of a fleet."""

from datetime import datetime

from sqlalchemy import UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from adloom.states import WorkerState
from db.schema.base import Base, Id, Json, WorkspaceId, enum_of

WORKER_STATE = enum_of(WorkerState, "worker_state")


class Worker(Base):
    """A worker by its name; `owner` is the process that bears the name at the moment.

    It is alive until `expires_at`, unless it is `stopped`.
    """

    __tablename__ = "worker"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    name: Mapped[str]
    owner: Mapped[str]
    pool: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    device: Mapped[str]
    version: Mapped[str]
    state: Mapped[WorkerState] = mapped_column(WORKER_STATE, server_default=text("'working'"))
    stats: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]
