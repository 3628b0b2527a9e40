"""How far a catalogue was read: the highest mark of the rows that came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from adloom.errors import FeedError

Mark = datetime | date | Decimal | str

_FUTURE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Watermark:
    """The highest value of a column that grows when a row changes."""

    value: Mark

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any], column: str | None) -> "Watermark | None":
        """The mark that a cursor holds for this column; None for another's, or one unreadable."""
        if column is None or cursor.get("column") != column:
            return None
        text = str(cursor.get("watermark", ""))
        try:
            match cursor.get("type"):
                case "datetime":
                    return cls(datetime.fromisoformat(text))
                case "date":
                    return cls(date.fromisoformat(text))
                case "number":
                    return cls(Decimal(text))
                case "text":
                    return cls(text)
        except (ValueError, ArithmeticError):
            pass
        return None

    def cursor(self, column: str) -> dict[str, str]:
        """What `from_cursor` reads."""
        value = self.value
        if isinstance(value, datetime):
            kind, text = "datetime", value.isoformat()
        elif isinstance(value, date):
            kind, text = "date", value.isoformat()
        elif isinstance(value, Decimal):
            kind, text = "number", format(value, "f")
        else:
            kind, text = "text", value
        return {"column": column, "type": kind, "watermark": text}

    def less(self, overlap: int) -> Mark:
        """The mark from which to read: rows at the mark itself may have come after it was read,
        and those of transactions that took longer lie `overlap` seconds or units before it."""
        value = self.value
        if isinstance(value, datetime):
            return value - timedelta(seconds=overlap)
        if isinstance(value, date):
            return value - timedelta(days=-(-overlap // 86_400))
        if isinstance(value, Decimal):
            return value - overlap
        if overlap:
            raise FeedError(
                "an overlap needs a watermark of numbers or times, not of text",
                hint="cast the column in a query, or leave out the overlap",
            )
        return value

    @staticmethod
    def later(mark: "Watermark | None", value: Any, where: str) -> "Watermark | None":
        """The higher of a mark and a row's value. One that lies in the future is taken for
        tomorrow at most, or what changes until then would never be read. Raises FeedError."""
        if value is None:
            return mark
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = Decimal(str(value))
        if not isinstance(value, datetime | date | Decimal | str):
            raise FeedError(
                f"the watermark column holds {type(value).__name__}",
                where=where,
                hint="take one of times, numbers or text",
            )
        if isinstance(value, datetime):
            value = min(value, datetime.now(value.tzinfo) + _FUTURE)
        elif isinstance(value, date):
            value = min(value, datetime.now(UTC).date() + _FUTURE)
        try:
            higher = mark is None or value > mark.value  # pyright: ignore[reportOperatorIssue]
        except TypeError as error:
            raise FeedError(
                "the watermark column holds values of several kinds",
                where=where,
                hint="cast it in a query",
            ) from error
        return Watermark(value) if higher else mark
