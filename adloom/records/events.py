"""What happened to runs, as rows of an outbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adloom.campaign import CampaignSpec


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something to tell a webhook. `id` is what a receiver drops repeats by; `next_attempt_at` is
    None once it is delivered, or given up."""

    number: int
    id: str
    run_id: int
    event: str
    webhook: str
    payload: Mapping[str, Any]
    created_at: datetime
    attempts: int
    age_s: float
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """How a live run that tells a webhook stands. `idle_s`: for how long nobody has worked on it or
    could have, 0 while somebody does."""

    run_id: int
    spec: CampaignSpec
    created_at: datetime
    is_paused: bool
    items: int
    done: int
    failed: int
    idle_s: float

    @property
    def done_share(self) -> float:
        return self.done / self.items if self.items else 0.0

    @property
    def failed_share(self) -> float:
        """Of those that have ended, one way or the other."""
        ended = self.done + self.failed
        return self.failed / ended if ended else 0.0
