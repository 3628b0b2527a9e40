"""Recalls: what was recalled, by whom and why, and what it did."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RecallFilter:
    """Which creatives: all given conditions must hold, and at least one is given.

    `sku` is a product's id in its catalogue, `product` that or the group of its variants.
    """

    product: str | None = None
    sku: str | None = None
    scene: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class RecallCounts:
    """`matched == marked + unmarked`: creatives that were marked, and those that were as asked for
    before. `items` and `renders` were still open and are cancelled."""

    matched: int
    marked: int
    unmarked: int
    items: int = 0
    renders: int = 0


@dataclass(frozen=True, slots=True)
class RecallRecord:
    """An entry of the record; `undo` ends earlier recalls of the same creatives."""

    id: int
    undo: bool
    issuer: str
    reason: str
    chosen: RecallFilter
    creatives: int
    created_at: datetime
