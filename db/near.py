"""Near matches, for errors that name what was perhaps meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from adloom.errors import NotFoundError


def not_found(kind: str, names: Iterable[str], known: Iterable[str]) -> NotFoundError:
    """The error for unknown `names` of a `kind`, with near matches among the `known`."""
    names, there = list(names), sorted(set(known))
    near = [m for name in names for m in get_close_matches(name, there, n=2, cutoff=0.5)]
    if near:
        hint = f"did you mean {', '.join(dict.fromkeys(near))}?"
    elif there:
        hint = f"there are: {', '.join(there[:12])}{', …' if len(there) > 12 else ''}"
    else:
        hint = "there is none yet"
    quoted = ", ".join(f"'{name}'" for name in names)
    return NotFoundError(f"no {kind} {quoted}", hint=hint)
