"""Batches, and what a worker takes from and gives back to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adloom.finishing_spec import FinishingSpec
from adloom.render_spec import RenderSpec
from adloom.states import BatchState


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch; `expired` says that its lease ran out and any worker may claim it."""

    id: int
    run_id: int
    state: BatchState
    renders: int
    lease_owner: str | None
    lease_epoch: int
    expired: bool
    attempts: int
    flow_run_id: str | None
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on a batch; every write names its `epoch`."""

    batch_id: int
    run_id: int
    owner: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RenderWork:
    """A render still to be made, and the finishings that live runs want of it."""

    render_id: int
    fingerprint: str
    spec: RenderSpec
    attempts: int
    finishings: tuple[FinishingSpec, ...]


@dataclass(frozen=True, slots=True)
class StoredRender:
    """What is recorded of a finished render: where it is, what it took."""

    object_key: str
    sha256: str
    bytes: int
    device: str
    timings: Mapping[str, float] = field(default_factory=dict[str, float])
