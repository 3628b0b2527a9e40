"""Campaigns, as rows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from adloom.campaign import CampaignSpec


class Change(StrEnum):
    """What applying a specification did."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class CampaignApplied:
    """`unpinned_from`: the hash of the weights that the campaign was pinned to until now, None if
    it was not."""

    change: Change
    unpinned_from: str | None


@dataclass(frozen=True, slots=True)
class CampaignRecord:
    """A campaign as last applied. `model_revision`: the hash of the weights that its first run
    since then pinned it to, None before."""

    id: int
    spec: CampaignSpec
    created_at: datetime
    updated_at: datetime
    last_run_id: int | None
    model_revision: str | None = None
