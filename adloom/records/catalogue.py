"""Sources, syncs, products and their photos, as rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from adloom.catalog import Availability, Delivery, PhotoRole, Price, RejectedRow, SyncCounts
from adloom.cutouts import Cutout


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A catalogue that was added, with how many of its products are active."""

    id: int
    slug: str
    kind: str
    location: str
    delivery: Delivery
    options: Mapping[str, Any]
    active_products: int = 0
    cursor: Mapping[str, Any] = field(default_factory=dict[str, Any])


class SyncState(StrEnum):
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SyncRecord:
    id: int
    source: str
    state: SyncState
    counts: SyncCounts
    started_at: datetime
    ended_at: datetime | None
    error_class: str | None
    error_message: str | None
    rejected_reasons: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class UpsertCounts:
    """What a chunk of records did; the three and the `repeated` add up to the chunk."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: tuple[RejectedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class PhotoValidators:
    """What tells cheaply that a photo is still the same: HTTP's or the file system's word."""

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ProductPhoto:
    """A product's photo by reference; `photo_sha256` is None until it was fetched.

    `note` says what of the file the photo is not, such as the later frames of an animation.
    """

    product_id: int
    external_id: str
    location: str
    role: PhotoRole
    position: int
    photo_sha256: str | None = None
    validators: PhotoValidators = PhotoValidators()
    note: str = ""


@dataclass(frozen=True, slots=True)
class PhotoProblem:
    """Why a product's photo cannot be used."""

    product_id: int
    external_id: str
    location: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class MaskVersion:
    """A mask that a user gave a photo: its number, who gave it and why, and whether it counts."""

    number: int
    cutout: Cutout
    given_by: str
    note: str
    created_at: datetime
    withdrawn_at: datetime | None
    is_current: bool


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product with its photos and what is wrong with them."""

    id: int
    source: str
    external_id: str
    title: str
    category: str
    brand: str
    availability: Availability
    price: Price | None
    link: str
    active: bool
    photos: tuple[ProductPhoto, ...]
    problems: tuple[PhotoProblem, ...]
    sale_price: Price | None = None
    item_group_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class PhotoSharing:
    """Variants of one item that show the same main photo: how many, and what they differ by."""

    products: int
    differ_by: tuple[str, ...]
