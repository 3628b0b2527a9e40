"""One row of a product feed -> a product record, or the reason why not. Pure.

Column names and meanings are those of Google Merchant Center's product data specification.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from urllib.parse import urlsplit

from adloom.catalog import Availability, PhotoRef, PhotoRole, Price, ProductRecord, RejectedRow
from adloom.errors import InvalidInputError

REQUIRED_COLUMNS = ("id", "title", "image_link")
REPEATABLE_COLUMNS = ("additional_image_link",)
MAX_ID_CHARS = 128
MAX_TITLE_CHARS = 500
MAX_TEXT_CHARS = 20_000
MAX_LOCATION_CHARS = 2_000
MAX_PHOTOS = 50
MAX_AMOUNT = Decimal(10) ** 10

_ALIASES = {
    "additional_image_links": "additional_image_link",
    "additional_images": "additional_image_link",
    "category": "product_type",
    "google_category": "google_product_category",
    "image": "image_link",
    "image_url": "image_link",
    "item_group": "item_group_id",
    "product_id": "id",
    "sku": "id",
    "url": "link",
    "name": "title",
}
_AMOUNT = r"(?P<{0}>[+-]?\d[\d.,]*)"
_CURRENCY = r"(?P<{0}>[A-Za-z]{{3}})"
_PRICE = re.compile(
    rf"(?:{_AMOUNT.format('a')}\s*{_CURRENCY.format('b')}"
    rf"|{_CURRENCY.format('c')}\s*{_AMOUNT.format('d')})"
)


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
    """The fields of one record and the line of the file on which it begins (1 = header)."""

    line: int
    fields: Sequence[str]


def column_name(written: str) -> str:
    """The name a header cell stands for: ' Image Link' and 'g:image_link' -> 'image_link'."""
    name = re.sub(r"[\s_-]+", "_", written.strip().strip("\ufeff").strip().lower())
    name = name.removeprefix("g:").strip("_")
    return _ALIASES.get(name, name)


def product_record(
    row: FeedRow, columns: Sequence[str], resolve_photo: ResolvePhoto
) -> ProductRecord | RejectedRow:
    """The product that a row describes, or why it describes none.

    `columns` are names as `column_name` gives them. Missing trailing fields count as empty.
    """
    cells = _cells(row, columns)
    try:
        _check_field_count(row, columns)
        return ProductRecord(
            external_id=_external_id(cells),
            title=_title(cells),
            category=_text(cells, "product_type") or _text(cells, "google_product_category"),
            photos=_photos(cells, resolve_photo),
            description=_text(cells, "description"),
            link=_link(cells),
            brand=_text(cells, "brand"),
            availability=_availability(_text(cells, "availability")),
            price=parse_price(_text(cells, "price")),
            item_group_id=_text(cells, "item_group_id") or None,
        )
    except RowRefusedError as error:
        return RejectedRow(row.line, shown_id(cells.get("id", "")), error.reason, error.message)


def shown_id(written: str) -> str | None:
    """An identifier fit for a report: printable, short; None for an empty one."""
    return (
        "".join(c if c.isprintable() else "\ufffd" for c in written.strip())[:MAX_ID_CHARS] or None
    )


def _cells(row: FeedRow, columns: Sequence[str]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, value in zip(columns, row.fields, strict=False):
        if name in REPEATABLE_COLUMNS and cells.get(name):
            value = f"{cells[name]},{value}" if value.strip() else cells[name]
        cells[name] = value
    return cells


def _check_field_count(row: FeedRow, columns: Sequence[str]) -> None:
    if any(field.strip() for field in row.fields[len(columns) :]):
        raise RowRefusedError(
            RowReason.TOO_MANY_FIELDS,
            f"{len(row.fields)} fields under {len(columns)} columns; quote fields that hold the "
            "delimiter",
        )


def _external_id(cells: Mapping[str, str]) -> str:
    value = cells.get("id", "").strip()
    if not value:
        raise RowRefusedError(RowReason.MISSING_ID, "the column 'id' is empty")
    if len(value) > MAX_ID_CHARS:
        raise RowRefusedError(
            RowReason.ID_TOO_LONG, f"the id has {len(value)} characters of {MAX_ID_CHARS} at most"
        )
    _check_characters("id", value)
    if not value.isprintable():
        raise RowRefusedError(RowReason.BAD_ID, "the id holds line breaks or invisible characters")
    return value


def _title(cells: Mapping[str, str]) -> str:
    title = _text(cells, "title", MAX_TITLE_CHARS)
    if not title:
        raise RowRefusedError(RowReason.MISSING_TITLE, "the column 'title' is empty")
    return title


def _text(cells: Mapping[str, str], column: str, limit: int = MAX_TEXT_CHARS) -> str:
    """A text field: HTML entities read, white space folded, in Unicode's composed form."""
    value = html.unescape(cells.get(column, ""))
    if len(value) > limit:
        raise RowRefusedError(
            RowReason.TEXT_TOO_LONG,
            f"the column '{column}' has {len(value)} characters of {limit} at most",
        )
    _check_characters(column, value)
    return unicodedata.normalize("NFC", " ".join(value.split()))


def _check_characters(column: str, value: str) -> None:
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
            raise RowRefusedError(
                RowReason.CONTROL_CHARACTERS,
                f"the column '{column}' holds the control character U+{ord(character):04X}",
            )


def _link(cells: Mapping[str, str]) -> str:
    link = _text(cells, "link")
    if link and not is_web_address(link):
        raise RowRefusedError(
            RowReason.BAD_LINK, f"the link '{link[:80]}' is not an http(s) address"
        )
    return link


def is_web_address(text: str) -> bool:
    """Whether `text` is an absolute http(s) address with a host."""
    if len(text) > MAX_LOCATION_CHARS or any(c.isspace() for c in text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError for one that is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _photos(cells: Mapping[str, str], resolve_photo: ResolvePhoto) -> tuple[PhotoRef, ...]:
    main = cells.get("image_link", "").strip()
    if not main:
        raise RowRefusedError(RowReason.MISSING_IMAGE, "the column 'image_link' is empty")
    written = [main, *_locations(cells.get("additional_image_link", ""))]
    locations = dict.fromkeys(_location(text, resolve_photo) for text in written)
    if len(locations) > MAX_PHOTOS:
        raise RowRefusedError(
            RowReason.TOO_MANY_PHOTOS, f"{len(locations)} photos of {MAX_PHOTOS} at most"
        )
    return tuple(
        PhotoRef(location, PhotoRole.ADDITIONAL if position else PhotoRole.MAIN, position)
        for position, location in enumerate(locations)
    )


def _locations(text: str) -> list[str]:
    """Locations separated by commas; a comma inside of one must be written %2C."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _location(written: str, resolve_photo: ResolvePhoto) -> str:
    _check_characters("image_link", written)
    if len(written) > MAX_LOCATION_CHARS or not written.isprintable():
        raise RowRefusedError(
            RowReason.BAD_PHOTO_LOCATION,
            f"'{written[:60]!r}' is longer than {MAX_LOCATION_CHARS} characters or not printable",
        )
    if re.match(r"https?:", written, re.IGNORECASE):
        address = written.replace(" ", "%20")
        if not is_web_address(address):
            raise RowRefusedError(
                RowReason.BAD_PHOTO_LOCATION, f"'{written[:80]}' is not a complete http(s) address"
            )
        return address
    return resolve_photo(written)


def _availability(text: str) -> Availability:
    try:
        return Availability(re.sub(r"[\s_-]+", "_", text.strip().lower()))
    except ValueError:
        return Availability.UNKNOWN


def parse_price(text: str) -> Price | None:
    """'10.00 USD', 'USD 1,234.50' or '9,90 EUR' -> a price; '' -> None.

    Raises RowRefusedError for anything else: no currency, a sign, an amount that reads two ways.
    """
    if not text:
        return None
    match = _PRICE.fullmatch(text)
    if match is None:
        raise RowRefusedError(
            RowReason.BAD_PRICE, f"'{text[:40]}' is not an amount and a currency like '10.00 USD'"
        )
    amount = _amount(match["a"] or match["d"])
    if amount is None or not 0 <= amount < MAX_AMOUNT:
        raise RowRefusedError(
            RowReason.BAD_PRICE, f"'{text[:40]}' is not an amount between 0 and {MAX_AMOUNT:,}"
        )
    return Price(amount, (match["b"] or match["c"]).upper())


def _amount(digits: str) -> Decimal | None:
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d{1,4})?|-?\d+(\.\d{1,4})?", digits):
        return Decimal(digits.replace(",", ""))
    if re.fullmatch(r"-?(\d{1,3}(\.\d{3})+|\d+),\d{1,2}", digits):
        return Decimal(digits.replace(".", "").replace(",", "."))
    return None
