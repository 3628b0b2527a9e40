"""Values as JSON, Parquet, workbooks and databases have them -> cells of text."""

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from adloom.feed_rows import RowReason, RowRefusedError, known_id
from adloom.field_mapping import Cell, FieldMapping, column_name

_ADDRESS_KEYS = ("url", "link", "href", "src")
_AMOUNT_KEYS = ("amount", "value")
_CURRENCY_KEYS = ("currency", "currency_code", "currencyCode")


def cells_of(record: Iterable[tuple[Any, Any]]) -> dict[str, Cell]:
    """A record's cells by `column_name`; a part of a nested value is `name.part`.

    Raises RowRefusedError (BAD_VALUE) for a value that no text stands for.
    """
    cells: dict[str, Cell] = {}
    for key, value in record:
        name = column_name(str(key))
        if type(value) is str:
            cells[name] = value
            continue
        cells[name] = _cell(name, value)
        if isinstance(value, Mapping):
            for part, inner in value.items():
                if not isinstance(inner, Mapping | list | tuple):
                    cells[f"{name}.{column_name(str(part))}"] = text_of(name, inner)
    return cells


def id_of(record: Iterable[tuple[Any, Any]], mapping: FieldMapping) -> str | None:
    """The id of a record that holds a value which no text stands for; None if the id is that."""
    reads = mapping.rules["id"].reads if "id" in mapping.rules else ()
    tops = {name.partition(".")[0] for name in reads} | set(reads)
    try:
        return known_id(cells_of((k, v) for k, v in record if column_name(str(k)) in tops), mapping)
    except RowRefusedError:
        return None


def _cell(name: str, value: Any) -> Cell:
    if isinstance(value, list | tuple):
        return [text for part in value if (text := _part(name, part))]
    return _part(name, value)


def _part(name: str, value: Any) -> str:
    """A photo's address out of `{url: …}`, a price out of `{amount: …, currency: …}`."""
    if not isinstance(value, Mapping):
        return "" if isinstance(value, list | tuple) else text_of(name, value)
    address = _picked(value, _ADDRESS_KEYS)
    if address is not None:
        return text_of(name, address)
    amount, currency = _picked(value, _AMOUNT_KEYS), _picked(value, _CURRENCY_KEYS)
    if amount is not None and currency is not None:
        return f"{text_of(name, amount)} {text_of(name, currency)}"
    return ""


def _picked(value: Mapping[Any, Any], keys: Iterable[str]) -> Any:
    found = (value[k] for k in keys if k in value)
    return next((v for v in found if not isinstance(v, Mapping | list | tuple)), None)


def text_of(name: str, value: Any) -> str:
    """A plain value as text. A float that is whole has no point: it was an integer once."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        return _number(name, value)
    if isinstance(value, int):
        if abs(value).bit_length() > 256:
            raise RowRefusedError(RowReason.BAD_VALUE, f"the number in '{name}' is absurd")
        return str(value)
    if isinstance(value, date | time | timedelta):
        return value.isoformat() if not isinstance(value, timedelta) else str(value)
    if isinstance(value, UUID):
        return str(value)
    raise RowRefusedError(
        RowReason.BAD_VALUE, f"the column '{name}' holds {type(value).__name__}, not text"
    )


def _number(name: str, value: float | Decimal) -> str:
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite() or abs(exact.adjusted()) > 64:
        raise RowRefusedError(RowReason.BAD_VALUE, f"the number in '{name}' is {value}")
    text = format(exact, "f")
    return text.rstrip("0").rstrip(".") if isinstance(value, float) and "." in text else text
