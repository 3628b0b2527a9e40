"""What happened to a creative: its items in runs, and what the gates said of them."""

from dataclasses import dataclass
from datetime import datetime

from adloom.gates import Decision, Reason
from adloom.states import Disposition, Outcome


@dataclass(frozen=True, slots=True)
class CreativeItem:
    """A creative in a run, one for each draw."""

    run_item_id: int
    run_id: int
    draw: int
    disposition: Disposition
    outcome: Outcome
    fingerprint: str
    image_sha256: str | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """What a set of gates, or a person's word that stood above them, made of a run item."""

    run_item_id: int
    gate_set: str
    decision: Decision
    reasons: tuple[Reason, ...]
    created_at: datetime
