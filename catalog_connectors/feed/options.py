"""How to read a feed: options as a source keeps them -> values."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adloom.catalog import Delivery
from adloom.errors import FeedError
from adloom.field_mapping import FieldMapping
from catalog_connectors.mappings import DEFAULT, find_mapping, shipped

DELIMITERS = ("\t", ",", ";", "|")
_DELIMITER_NAMES = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_TRUTHS = {"true": True, "false": False}
ALLOWED = {
    "allow_outside": "true or false",
    "delimiter": "tab, comma, semicolon or pipe",
    "delivery": "snapshot or delta",
    "encoding": "a character encoding such as utf-8 or cp1252",
    "mapping": "the name of a mapping, or its YAML",
    "max_bytes": "a number above 0",
    "max_seconds": "a number above 0",
    "member": "the name of a file in a ZIP archive",
}


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How to read a feed.

    `delimiter` is one of tab, comma, semicolon, pipe (or the character); detected when None, and so
    is `encoding`. `allow_outside` lets a local feed name photos outside of its own folder.
    `max_bytes` bounds the feed as it comes and unpacked, `max_seconds` its download. `member` is
    the file to read of a ZIP archive that holds several.
    """

    delivery: Delivery = Delivery.SNAPSHOT
    delimiter: str | None = None
    encoding: str | None = None
    max_bytes: int = 4 << 30
    max_seconds: int = 3600
    allow_outside: bool = False
    member: str | None = None
    mapping: FieldMapping | None = None

    @property
    def fields(self) -> FieldMapping:
        """The mapping, Google's if none was given."""
        return self.mapping or shipped()[DEFAULT]

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "FeedOptions":
        """Values may be text, as a command line has them. Raises FeedError for an unknown option
        or value, naming those there are, and MappingError."""
        if unknown := sorted(set(options) - set(ALLOWED)):
            there = "; ".join(
                f"{name}: {values}"
                for name, values in sorted(ALLOWED.items())
                if name != "delivery"  # the source's own, not for a user to give as an option
            )
            raise FeedError(f"unknown feed option '{unknown[0]}'", hint=f"there are {there}")
        return cls(**{name: _option(name, value) for name, value in options.items()})


def _option(name: str, value: Any) -> Any:
    if name == "mapping":
        return None if value is None else find_mapping(str(value))
    try:
        return _PARSERS[name](value)
    except (ValueError, TypeError, KeyError, LookupError):
        pass
    raise FeedError(f"the feed option '{name}' cannot be {value!r}", hint=f"it is {ALLOWED[name]}")


def _above_zero(value: Any) -> int:
    if isinstance(value, bool) or int(value) <= 0:
        raise ValueError
    return int(value)


def _delimiter(value: Any) -> str | None:
    found = None if value is None else _DELIMITER_NAMES.get(str(value), str(value))
    if found is not None and found not in DELIMITERS:
        raise ValueError
    return found


def _encoding(value: Any) -> str | None:
    if value is None:
        return None
    name = codecs.lookup(str(value)).name
    _ = b"".decode(name)  # refuses codecs between bytes and bytes, such as zlib
    return name


_PARSERS = {
    "delivery": Delivery,
    "max_bytes": _above_zero,
    "max_seconds": _above_zero,
    "allow_outside": lambda v: v if isinstance(v, bool) else _TRUTHS[str(v).lower()],
    "delimiter": _delimiter,
    "encoding": _encoding,
    "member": lambda v: None if v is None else str(v),
}
