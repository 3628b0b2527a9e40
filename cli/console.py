"""What every command shares: tables or JSON on stdout, one clear line per error on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from adloom.errors import AdloomError, SpecError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

EXIT_CODES = """\
Exit codes: 0 done · 1 failed · 2 the input or the call is wrong · 3 no such thing ·
4 a setting is wrong or a service does not answer · 5 the run ended with failed items ·
130 interrupted.
"""

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


def emit(payload: Any, as_json: bool, human: Callable[[], None]) -> None:
    """The payload as JSON if asked for, else what `human` prints."""
    if as_json:
        sys.stdout.write(json.dumps(payload, default=_plain, ensure_ascii=False, indent=2) + "\n")
    else:
        human()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A rich table; numbers stand right, everything else left."""
    shown = [tuple(row) for row in rows]
    out = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for i, name in enumerate(columns):
        numeric = bool(shown) and all(isinstance(r[i], int | float) for r in shown)
        out.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in shown:
        out.add_row(*("" if v is None else _cell(v) for v in row))
    stdout.print(out)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)


def report(error: AdloomError) -> int:
    """Prints a user's error, without a traceback, and returns the exit code of its class."""
    if isinstance(error, SpecError) and error.problems:
        for problem in error.problems:
            stderr.print(f"[red]error[/]: {error.where}: ", end="")
            stderr.print(str(problem), markup=False)
    else:
        stderr.print("[red]error[/]: ", end="")
        text = f"{error.where}: {error.message}" if error.where else error.message
        stderr.print(text, markup=False, soft_wrap=True)
    if error.hint:
        stderr.print("  try: ", end="")
        stderr.print(error.hint, markup=False, soft_wrap=True)
    return error.exit_code
