"""Products as a catalogue delivers them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class Delivery(StrEnum):
    """What a source's stream stands for: all products, or those that changed."""

    SNAPSHOT = "snapshot"
    DELTA = "delta"


class PhotoRole(StrEnum):
    MAIN = "main"
    ADDITIONAL = "additional"


class Availability(StrEnum):
    IN_STOCK = "in_stock"
    OUT_OF_STOCK = "out_of_stock"
    PREORDER = "preorder"
    BACKORDER = "backorder"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Price:
    """An amount of money; the currency is an ISO 4217 code."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class PhotoRef:
    """Where a photo of a product is to be had: an http(s) address or a local path, resolved."""

    location: str
    role: PhotoRole
    position: int


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """One sellable variant, key `external_id` within its source.

    `line` is where the catalogue has it, for messages alone: it is no part of what the record says.
    """

    external_id: str
    title: str
    category: str
    photos: tuple[PhotoRef, ...]
    description: str = ""
    link: str = ""
    brand: str = ""
    availability: Availability = Availability.UNKNOWN
    price: Price | None = None
    item_group_id: str | None = None
    line: int | None = field(default=None, compare=False)

    @property
    def content_hash(self) -> str:
        """Sha256 over every field but `line`: equal if and only if the record says the same."""
        said = {name: getattr(self, name) for name in _SAID}
        text = json.dumps(said, sort_keys=True, default=_plain, ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


_SAID = tuple(f.name for f in fields(ProductRecord) if f.compare)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else asdict(value)  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that could not become a product: reason code for counting, detail for mending."""

    line: int
    external_id: str | None
    reason: str
    detail: str


class CatalogSource(Protocol):
    """An outside catalogue as a stream of product records.

    Raises FeedError when the catalogue as a whole cannot be read, and FeedTruncatedError when the
    stream ends before its end, so that a broken download is never taken for a snapshot.
    """

    @property
    def delivery(self) -> Delivery: ...

    def records(self) -> Iterator[ProductRecord | RejectedRow]: ...


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """What one sync did. `rows == added + changed + unchanged + rejected`."""

    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    deactivated: int = 0
    photos_new: int = 0
    photos_rejected: int = 0
