"""What a user asks for by name and what may not be to be had here: hub measures, baselines."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import typer

from adloom.errors import ModelError

T = TypeVar("T")


def to_be_had(
    asked: Sequence[str], known: Collection[str], load: Callable[[str, str], T]
) -> dict[str, T]:
    """NAME or NAME=SOURCE each, loaded, by name; what cannot be had is left out, and stderr says
    why. ModelError for a name that nobody knows, before anything is loaded."""
    named = [(name, source) for name, _, source in (one.partition("=") for one in asked)]
    for name, _ in named:
        if name not in known:
            raise ModelError(f"no {name!r}", hint=f"one of {', '.join(known)}")
    found: dict[str, T] = {}
    for name, source in named:
        try:
            found[name] = load(name, source)
        except ModelError as error:
            typer.echo(f"left out: {error}", err=True)
    return found
