"""Outside catalogues as streams of product records, and the photos they point to."""

from collections.abc import Callable, Mapping
from typing import Any

from adloom.catalog import CatalogSource
from adloom.errors import FeedError
from catalog_connectors.feed import FeedOptions, FeedSource

__all__ = ["KINDS", "open_source"]


def _open_feed(location: str, allow_private: bool, options: Mapping[str, Any]) -> CatalogSource:
    return FeedSource(location, allow_private=allow_private, options=FeedOptions.parse(options))


KINDS: dict[str, Callable[[str, bool, Mapping[str, Any]], CatalogSource]] = {"feed": _open_feed}


def open_source(
    kind: str,
    location: str,
    *,
    allow_private: bool = False,
    options: Mapping[str, Any] | None = None,
) -> CatalogSource:
    """The catalogue of a kind at a location; nothing is read before its records are.

    `allow_private` lets a remote feed live at a private address. Raises FeedError for an unknown
    kind, option or location.
    """
    if kind not in KINDS:
        raise FeedError(
            f"unknown kind of source '{kind}'", hint=f"there are: {', '.join(sorted(KINDS))}"
        )
    return KINDS[kind](location, allow_private, options or {})
