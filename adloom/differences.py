"""What differs between two nested values, field by field. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not the same; None: it is not there. For lists `added` and `removed` say
    which entries."""

    field: str
    before: Any
    after: Any
    added: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()


def differences(before: Any, after: Any, field: str = "") -> tuple[Difference, ...]:
    """The fields in which two plain values (as JSON has them) differ, by name."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return tuple(
            found
            for key in sorted({*before, *after}, key=str)
            for found in differences(
                before.get(key), after.get(key), f"{field}.{key}" if field else str(key)
            )
        )
    if before == after:
        return ()
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        added = tuple(x for x in after if x not in before)
        removed = tuple(x for x in before if x not in after)
        return (Difference(field, before, after, added, removed),)
    return (Difference(field, before, after),)
