"""Commands that a page starts: the same as in a terminal, detached, outliving the dashboard."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends

Start = Callable[[Sequence[str]], str]
"""Starts `adloom ARGUMENTS` and returns where its log is. Raises UnavailableError."""


def starter() -> Start:
    """What starts commands; tests put another in its place."""
    return _start


def _start(arguments: Sequence[str]) -> str:
    from services.background import start_command

    return str(start_command(arguments).log)


Starter = Annotated[Start, Depends(starter)]
