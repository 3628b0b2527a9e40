"""The processes of a fleet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adloom.states import WorkerState


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker by its name, and the process (`owner`) that bears it at the moment.

    `alive`: it has said so within its lease and has not stopped.
    """

    name: str
    owner: str
    pool: str
    host: str
    pid: int
    device: str
    version: str
    state: WorkerState = WorkerState.WORKING
    stats: Mapping[str, Any] = field(default_factory=dict[str, Any])
    alive: bool = True
    started_at: datetime | None = None
