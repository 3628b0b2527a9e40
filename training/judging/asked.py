"""What a user asks for by name and what may not be to be had here: hub measures, baselines."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import typer

from adloom.errors import ModelError

T = TypeVar("T")


@dataclass(slots=True)
class LeftOut:
    """What could not be had, by name, and why; said on stderr as it happens."""

    reasons: dict[str, str] = field(default_factory=dict)

    def loaded(self, name: str, load: Callable[[], T]) -> T | None:
        """What `load` gives; None where it raises ModelError."""
        try:
            return load()
        except ModelError as error:
            self.reasons[name] = str(error)
            typer.echo(f"left out: {error}", err=True)
            return None


def named(asked: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """NAME or NAME=SOURCE each: the sources by name. ModelError for a name that nobody knows."""
    found: dict[str, str] = {}
    for one in asked:
        name, _, source = one.partition("=")
        if name not in known:
            raise ModelError(f"no {name!r}", hint=f"one of {', '.join(known)}")
        found[name] = source
    return found
