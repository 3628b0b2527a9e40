"""Products as a catalogue delivers them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol


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
    `attributes` are those by which the variants of one `item_group_id` differ (color, size, …), as
    sorted pairs.
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
    attributes: tuple[tuple[str, str], ...] = ()
    sale_price: Price | None = None

    @property
    def content_hash(self) -> str:
        """Sha256 over every field but `line`: equal if and only if the record says the same."""
        said = {
            "external_id": self.external_id,
            "title": self.title,
            "category": self.category,
            "photos": [
                {"location": p.location, "role": p.role, "position": p.position}
                for p in self.photos
            ],
            "description": self.description,
            "link": self.link,
            "brand": self.brand,
            "availability": self.availability,
            "price": self.price
            and {"amount": str(self.price.amount), "currency": self.price.currency},
            "item_group_id": self.item_group_id,
        }
        # Left out where there are none, so that records from before there were any stay the same.
        if self.attributes:
            said["attributes"] = dict(self.attributes)
        if self.sale_price:
            said["sale_price"] = f"{self.sale_price.amount} {self.sale_price.currency}"
        text = json.dumps(said, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that could not become a product: reason code for counting, detail for mending."""

    line: int
    external_id: str | None
    reason: str
    detail: str

    @property
    def names_product(self) -> bool:
        """Whether its product is known. An id with U+FFFD, shown for what is no character, is not
        the one that the product has."""
        return self.external_id is not None and "\ufffd" not in self.external_id


class CatalogSource(Protocol):
    """An outside catalogue as a stream of product records.

    Raises FeedError when the catalogue as a whole cannot be read, and FeedTruncatedError when the
    stream ends before its end, so that a broken download is never taken for a snapshot.
    """

    @property
    def delivery(self) -> Delivery: ...

    def records(self) -> Iterator[ProductRecord | RejectedRow]: ...

    @property
    def ending(self) -> "Ending":
        """How the reading ended; to be asked when all records were taken."""
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How the reading of a catalogue ended.

    `unchanged`: it is as it was at the last sync; no records came, and none is missing. `certain`
    is False where nothing proves that the end was the end: then nothing may count as missing.
    `cursor` is what the next reading is to be given, so that it need read only what changed.
    """

    unchanged: bool = False
    certain: bool = True
    cursor: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Blob(Protocol):
    """One file in an object store, to be read as a stream."""

    @property
    def location(self) -> str:
        """Its address, for messages."""
        ...

    def version(self) -> "BlobVersion":
        """What is there now. Raises the store's errors, ObjectMissingError among them."""
        ...

    def chunks(self, version: "BlobVersion", start: int) -> Iterator[bytes]:
        """The bytes of this version from `start` on. Raises the store's errors."""
        ...


@dataclass(frozen=True, slots=True)
class BlobVersion:
    """The size and the tag of a stored file: another content has another tag."""

    bytes: int
    tag: str


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
