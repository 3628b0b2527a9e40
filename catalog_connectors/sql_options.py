"""How to read a catalogue in a database: options as a source keeps them -> values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adloom.catalog import Delivery
from adloom.errors import FeedError
from adloom.field_mapping import FieldMapping
from catalog_connectors.mappings import DEFAULT, find_mapping, shipped

_ALLOWED = {
    "delivery": "snapshot or delta",
    "mapping": "the name of a mapping, or its YAML",
    "overlap": "seconds (for numbers: units) that are read again, 0 or more",
    "query": "a SELECT",
    "table": "a table or view, with its schema if need be",
    "watermark": "a column that grows when a row changes",
}


@dataclass(frozen=True, slots=True)
class SqlOptions:
    """What to read: a `table` or a `query`; with a `watermark` only rows from it on."""

    mapping: FieldMapping
    delivery: Delivery = Delivery.SNAPSHOT
    table: str | None = None
    query: str | None = None
    watermark: str | None = None
    overlap: int = 0

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "SqlOptions":
        """Raises FeedError for options that are unknown, wrong or do not go together."""
        if unknown := sorted(set(options) - set(_ALLOWED)):
            there = "; ".join(f"{n}: {v}" for n, v in _ALLOWED.items() if n != "delivery")
            raise FeedError(f"unknown sql option '{unknown[0]}'", hint=f"there are {there}")
        given = {k: v for k, v in options.items() if v is not None}
        if ("table" in given) == ("query" in given):
            raise FeedError(
                "a sql source reads either a table or a query",
                hint="add --table NAME, or --query 'SELECT …'",
            )
        overlap = str(given.get("overlap", "0"))
        if not re.fullmatch(r"\d{1,9}", overlap):
            raise FeedError(
                f"the sql option 'overlap' cannot be '{overlap[:40]}'",
                hint=f"it is {_ALLOWED['overlap']}",
            )
        try:
            delivery = Delivery(given.get("delivery", Delivery.SNAPSHOT))
        except ValueError as error:
            raise FeedError(f"delivery is {_ALLOWED['delivery']}") from error
        mapping = given.get("mapping")
        made = cls(
            mapping=find_mapping(str(mapping)) if mapping else shipped()[DEFAULT],
            delivery=delivery,
            table=given.get("table"),
            query=_single(given["query"]) if "query" in given else None,
            watermark=given.get("watermark"),
            overlap=int(overlap),
        )
        if made.watermark and made.delivery is Delivery.SNAPSHOT:
            raise FeedError(
                "a watermark reads only what changed, which is no snapshot",
                hint="add --delta, or leave out the watermark",
            )
        if made.overlap and not made.watermark:
            raise FeedError("an overlap belongs to a watermark", hint="add --watermark COLUMN")
        return made


def _single(query: str) -> str:
    trimmed = query.strip().rstrip(";").rstrip()
    if not re.match(r"(?:select|with|table|values|\()", trimmed, re.IGNORECASE):
        raise FeedError(f"'{trimmed[:60]}' is no query", hint="it begins with SELECT or WITH")
    return trimmed
