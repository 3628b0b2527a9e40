"""A source's options, from what a command line says."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from adloom.errors import InvalidInputError
from adloom.yaml_spec import MAX_SPEC_BYTES
from catalog_connectors.mappings import find_mapping
from tasks.paths import user_file

_MAX_QUERY_BYTES = 100_000


def source_options(
    written: Sequence[str],
    *,
    mapping: str | None = None,
    table: str | None = None,
    query: str | None = None,
    watermark: str | None = None,
) -> dict[str, str] | None:
    """The options of a source: `written` ones (`NAME=VALUE`) and those that have a name of their
    own; None if there are none at all.

    A mapping's file and a query's (`@FILE`) are read now and stored with the source: syncs ask for
    no file of the user's. Raises InvalidInputError, MappingError with line and field.
    """
    options = parse_options(written)
    named: Mapping[str, str | None] = {
        "mapping": None if mapping is None else _mapping(mapping),
        "table": table,
        "query": None if query is None else _query(query),
        "watermark": watermark,
    }
    for name, value in named.items():
        if value is None:
            continue
        if name in options:
            raise InvalidInputError(f"the option '{name}' is given twice", hint="give it once")
        options[name] = value
    return options or None


def parse_options(written: Sequence[str]) -> dict[str, str]:
    """`['delimiter=tab', …]` -> options of a connector. Raises InvalidInputError."""
    options: dict[str, str] = {}
    for text in written:
        name, separator, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not separator or not name:
            raise InvalidInputError(
                f"'{text[:80]}' is no option of a source", hint="write --option NAME=VALUE"
            )
        if name in options:
            raise InvalidInputError(f"the option '{name}' is given twice", hint="give it once")
        options[name] = value.strip(" ")  # a tab may be what is meant
    return options


def _mapping(given: str) -> str:
    """A shipped mapping's name as it is, a file's content. Raises MappingError."""
    if re.fullmatch(r"[a-z0-9-]+", given):
        return find_mapping(given).name
    path = user_file(given)
    text = _text(path, MAX_SPEC_BYTES)
    find_mapping(text + "\n", where=str(path))
    return text + "\n"  # so that it is never taken for a name


def _query(given: str) -> str:
    return _text(user_file(given[1:]), _MAX_QUERY_BYTES) if given.startswith("@") else given


def _text(path: Path, limit: int) -> str:
    try:
        if path.stat().st_size > limit:
            raise InvalidInputError(f"is larger than {limit} bytes", where=str(path))
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InvalidInputError(f"cannot be read: {reason}", where=str(path)) from error
