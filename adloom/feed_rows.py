"""One row of a catalogue -> a product record, or the reason why not. Pure.

Meanings of fields are those of Google Merchant Center's product data specification; which column
holds which field says a `FieldMapping`.
"""

import functools
import html
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from adloom.catalog import Availability, PhotoRef, PhotoRole, Price, ProductRecord, RejectedRow
from adloom.errors import InvalidInputError
from adloom.field_mapping import VARIANT_FIELDS, Cell, FieldMapping
from adloom.prices import parse_price

MAX_ID_CHARS = 128
MAX_TITLE_CHARS = 500
MAX_TEXT_CHARS = 20_000
MAX_ATTRIBUTE_CHARS = 200
MAX_LOCATION_CHARS = 2_000
MAX_PHOTOS = 50

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_UNDECODED = re.compile(r"[\udc80-\udcff]")
_PLAIN_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(?::[0-9]{1,4})?(?:/[!-~]*)?"
)
_FRAGMENT = re.compile(r"<[A-Za-z!/]")


class RowReason(StrEnum):
    """Why a row was rejected: stable codes, for counting and selecting."""

    MISSING_ID = "MISSING_ID"
    MISSING_TITLE = "MISSING_TITLE"
    MISSING_IMAGE = "MISSING_IMAGE"
    DUPLICATE_ID = "DUPLICATE_ID"
    ID_TOO_LONG = "ID_TOO_LONG"
    BAD_ID = "BAD_ID"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    CONTROL_CHARACTERS = "CONTROL_CHARACTERS"
    BAD_PRICE = "BAD_PRICE"
    BAD_LINK = "BAD_LINK"
    BAD_PHOTO_LOCATION = "BAD_PHOTO_LOCATION"
    PHOTO_OUTSIDE_FEED = "PHOTO_OUTSIDE_FEED"
    TOO_MANY_PHOTOS = "TOO_MANY_PHOTOS"
    TOO_MANY_FIELDS = "TOO_MANY_FIELDS"
    BAD_ENCODING = "BAD_ENCODING"
    BAD_JSON = "BAD_JSON"
    BAD_VALUE = "BAD_VALUE"
    UNCLOSED_QUOTE = "UNCLOSED_QUOTE"
    ROW_TOO_LONG = "ROW_TOO_LONG"


class RowRefusedError(InvalidInputError):
    """The row of the feed cannot be used."""

    def __init__(self, reason: RowReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (RowRefusedError, (self.reason, self.message))


ResolvePhoto = Callable[[str], str]
"""A photo's location as written -> resolved; raises RowRefusedError."""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One record as its catalogue has it: cells by `column_name`, and where it begins.

    `line` is the line of a text file (1 = header), else the record's number in the file.
    """

    line: int
    cells: Mapping[str, Cell]


def product_record(
    row: FeedRow, mapping: FieldMapping, resolve_photo: ResolvePhoto
) -> ProductRecord | RejectedRow:
    """The product that a row describes, or why it describes none."""
    cells = {name: rule.of(row.cells) for name, rule in mapping.rules.items()}
    fields = _Fields({k: v if isinstance(v, str) else _first(v) for k, v in cells.items()})
    try:
        return ProductRecord(
            external_id=_external_id(fields),
            title=fields.required_title(),
            category=fields.text("product_type") or fields.text("google_product_category"),
            photos=_photos(cells, resolve_photo),
            description=fields.text("description"),
            link=_link(fields),
            brand=fields.text("brand"),
            availability=_availability(fields.get("availability", "")),
            price=_price(fields, "price", mapping.currency),
            item_group_id=fields.text("item_group_id") or None,
            line=row.line,
            attributes=tuple(
                (name, value)
                for name in VARIANT_FIELDS
                if (value := fields.text(name, MAX_ATTRIBUTE_CHARS))
            ),
            sale_price=_price(fields, "sale_price", mapping.currency),
        )
    except RowRefusedError as error:
        return RejectedRow(row.line, shown_id(fields.get("id", "")), error.reason, error.message)


def known_id(cells: Mapping[str, Cell], mapping: FieldMapping) -> str | None:
    """The id that a refused row's cells hold by the mapping, fit for a report; None for none."""
    rule = mapping.rules.get("id")
    found = rule.of(cells) if rule else ""
    return shown_id(found if isinstance(found, str) else _first(found))


def shown_id(written: str) -> str | None:
    """An identifier fit for a report: printable, short; None for an empty one."""
    return (
        "".join(c if c.isprintable() else "\ufffd" for c in written.strip()[: 2 * MAX_ID_CHARS])
        [:MAX_ID_CHARS] or None
    )  # fmt: skip


def _first(values: Cell) -> str:
    return next((v for v in values if v.strip()), "")


class _Fields(dict[str, str]):
    """A row's fields as they were written, and as text that is fit to be kept."""

    def text(self, name: str, limit: int = MAX_TEXT_CHARS) -> str:
        """HTML entities read, white space folded, in Unicode's composed form."""
        value = self.get(name, "")
        if not value:
            return value
        if "&" in value:
            value = html.unescape(value)
        if len(value) > limit:
            raise RowRefusedError(
                RowReason.TEXT_TOO_LONG,
                f"the field '{name}' has {len(value)} characters of {limit} at most",
            )
        _check_characters(name, value)
        value = " ".join(value.split())
        return value if value.isascii() else unicodedata.normalize("NFC", value)

    def required_title(self) -> str:
        title = self.text("title", MAX_TITLE_CHARS)
        if not title:
            raise RowRefusedError(RowReason.MISSING_TITLE, "the field 'title' is empty")
        return title


def _external_id(fields: _Fields) -> str:
    value = fields.get("id", "").strip()
    if not value:
        raise RowRefusedError(RowReason.MISSING_ID, "the field 'id' is empty")
    if len(value) > MAX_ID_CHARS:
        raise RowRefusedError(
            RowReason.ID_TOO_LONG, f"the id has {len(value)} characters of {MAX_ID_CHARS} at most"
        )
    _check_characters("id", value)
    if not value.isprintable():
        raise RowRefusedError(RowReason.BAD_ID, "the id holds line breaks or invisible characters")
    return value


def _check_characters(field: str, value: str) -> None:
    found = _CONTROL.search(value)
    if found is None:
        return
    if _UNDECODED.match(found[0]):
        raise RowRefusedError(
            RowReason.BAD_ENCODING,
            f"the field '{field}' holds the byte 0x{ord(found[0]) - 0xDC00:02X}, which is no "
            "character in the feed's encoding",
        )
    raise RowRefusedError(
        RowReason.CONTROL_CHARACTERS,
        f"the field '{field}' holds the control character U+{ord(found[0]):04X}",
    )


def _link(fields: _Fields) -> str:
    link = fields.text("link")
    if link and not is_web_address(link):
        raise RowRefusedError(
            RowReason.BAD_LINK, f"the link '{link[:80]}' is not an http(s) address"
        )
    return link


def is_web_address(text: str) -> bool:
    """Whether `text` is an absolute http(s) address with a host."""
    if len(text) > MAX_LOCATION_CHARS:
        return False
    if _PLAIN_ADDRESS.fullmatch(text):
        return True
    if any(c.isspace() for c in text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError for one that is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _photos(cells: Mapping[str, Cell], resolve_photo: ResolvePhoto) -> tuple[PhotoRef, ...]:
    main, *more = _apart(cells.get("image_link", ""), split=False) or [""]
    if not main:
        raise RowRefusedError(RowReason.MISSING_IMAGE, "the field 'image_link' is empty")
    written = [main, *more, *_apart(cells.get("additional_image_link", ""), split=True)]
    locations = dict.fromkeys(_location(text, resolve_photo) for text in written)
    if len(locations) > MAX_PHOTOS:
        raise RowRefusedError(
            RowReason.TOO_MANY_PHOTOS, f"{len(locations)} photos of {MAX_PHOTOS} at most"
        )
    return tuple(
        PhotoRef(location, PhotoRole.ADDITIONAL if position else PhotoRole.MAIN, position)
        for position, location in enumerate(locations)
    )


def _apart(cell: Cell, *, split: bool) -> list[str]:
    """The locations of a cell. Repeated ones are apart already. A single text is a list in JSON
    (Meta's image column), or separated by commas (`split`): one inside of a location is %2C."""
    if not isinstance(cell, str):
        return [text.strip() for text in cell if text.strip()]
    text = cell.strip()
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RowRefusedError(
                RowReason.BAD_PHOTO_LOCATION, f"'{text[:60]}' begins a list in JSON but is none"
            ) from error
        urls = (entry.get("url", "") if isinstance(entry, dict) else entry for entry in listed)
        return [url.strip() for url in urls if isinstance(url, str) and url.strip()]
    if not split:
        return [text] if text else []
    return [part.strip() for part in text.split(",") if part.strip()]


def _location(written: str, resolve_photo: ResolvePhoto) -> str:
    if _PLAIN_ADDRESS.fullmatch(written) and len(written) <= MAX_LOCATION_CHARS:
        return written
    _check_characters("image_link", written)
    if len(written) > MAX_LOCATION_CHARS or not written.isprintable():
        raise RowRefusedError(
            RowReason.BAD_PHOTO_LOCATION,
            f"'{written[:60]!r}' is longer than {MAX_LOCATION_CHARS} characters or not printable",
        )
    if _FRAGMENT.search(written):
        raise RowRefusedError(
            RowReason.BAD_PHOTO_LOCATION, f"'{written[:60]}' is markup, not a location"
        )
    if re.match(r"https?:", written, re.IGNORECASE):
        address = written.replace(" ", "%20")
        if not is_web_address(address):
            raise RowRefusedError(
                RowReason.BAD_PHOTO_LOCATION, f"'{written[:80]}' is not a complete http(s) address"
            )
        return address
    return resolve_photo(written)


_STOCK = {
    "available": Availability.IN_STOCK,
    "available_for_order": Availability.BACKORDER,
    "instock": Availability.IN_STOCK,
    "in_store_only": Availability.IN_STOCK,
    "limited_availability": Availability.IN_STOCK,
    "online_only": Availability.IN_STOCK,
    "outofstock": Availability.OUT_OF_STOCK,
    "discontinued": Availability.OUT_OF_STOCK,
    "sold_out": Availability.OUT_OF_STOCK,
    "soldout": Availability.OUT_OF_STOCK,
    "pre_order": Availability.PREORDER,
    "back_order": Availability.BACKORDER,
}
"""Meta's and schema.org's words (`https://schema.org/InStock`) for Merchant Center's."""


@functools.lru_cache(maxsize=256)
def _availability(text: str) -> Availability:
    word = re.sub(r"[\s_-]+", "_", text.strip().lower()[:100])
    word = re.sub(r"^https?://schema\.org/", "", word)
    try:
        return _STOCK.get(word) or Availability(word)
    except ValueError:
        return Availability.UNKNOWN


def _price(fields: _Fields, name: str, currency: str | None) -> Price | None:
    try:
        return parse_price(fields.text(name, MAX_ATTRIBUTE_CHARS), currency=currency)
    except ValueError as error:
        raise RowRefusedError(RowReason.BAD_PRICE, f"{name} {error}") from error
