"""Outside catalogues as streams of product records, and the photos they point to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adloom.catalog import Blob, CatalogSource
from adloom.errors import FeedError
from catalog_connectors.feed import FeedOptions, FeedSource
from catalog_connectors.references import Referenced
from catalog_connectors.sql import SqlSource
from catalog_connectors.sql_options import SqlOptions

__all__ = ["KINDS", "open_source", "shown_location"]


@dataclass(frozen=True, slots=True)
class _Opening:
    location: str
    allow_private: bool
    options: Mapping[str, Any]
    blob: Blob | None
    cursor: Mapping[str, Any] = field(default_factory=dict[str, Any])


def _open_feed(asked: _Opening) -> CatalogSource:
    return FeedSource(
        asked.location,
        allow_private=asked.allow_private,
        options=FeedOptions.parse(asked.options),
        blob=asked.blob,
        cursor=asked.cursor,
    )


def _open_sql(asked: _Opening) -> CatalogSource:
    return SqlSource(asked.location, options=SqlOptions.parse(asked.options), cursor=asked.cursor)


KINDS: dict[str, Callable[[_Opening], CatalogSource]] = {"feed": _open_feed, "sql": _open_sql}


def shown_location(location: str) -> str:
    """A source's location as it may be told: an address without user, password and query."""
    return Referenced(location).shown()


def open_source(
    kind: str,
    location: str,
    *,
    allow_private: bool = False,
    options: Mapping[str, Any] | None = None,
    blob: Blob | None = None,
    cursor: Mapping[str, Any] | None = None,
) -> CatalogSource:
    """The catalogue of a kind at a location; nothing is read before its records are.

    `allow_private` lets a remote feed live at a private address. `blob` reads the file at an
    `s3://` location. `cursor` is that of the last complete reading (`CatalogSource.ending`). Raises
    FeedError for an unknown kind, option or location, InvalidInputError for a secret written out.
    """
    if kind not in KINDS:
        raise FeedError(
            f"unknown kind of source '{kind}'", hint=f"there are: {', '.join(sorted(KINDS))}"
        )
    return KINDS[kind](_Opening(location, allow_private, options or {}, blob, cursor or {}))
