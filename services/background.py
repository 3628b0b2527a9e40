"""Commands of `adloom` in processes of their own: detached, or waited for."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adloom.errors import AdloomError, InvalidInputError, UnavailableError
from services.processes import Process, start_detached
from services.stack import record_worker
from services.state import make_home
from tasks.settings import Settings


def start_command(arguments: Sequence[str], *, settings: Settings | None = None) -> Process:
    """Starts `adloom ARGUMENTS` detached, in this folder and environment; `down` will stop it.

    Its output goes to a log of its own in the home. Raises UnavailableError.
    """
    settings = settings or Settings.load()
    make_home(settings.home)
    name = arguments[0] if arguments else "adloom"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    process = start_detached(
        f"adloom {name}",
        [sys.executable, "-P", "-m", "cli.main", *arguments],
        log=settings.home / "logs" / f"{name}-{stamp}.log",
        env=os.environ,
        cwd=Path.cwd(),
    )
    record_worker(settings, process)
    return process


def run_command(arguments: Sequence[str], *, timeout_s: float) -> dict[str, Any]:
    """Runs `adloom ARGUMENTS --json` to its end and returns what it says.

    What needs a model is asked so by a process that lives long: it keeps no model in its memory.
    Raises UnavailableError beyond `timeout_s`, else what the command said against it.
    """
    command = [sys.executable, "-P", "-m", "cli.main", *arguments, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"this takes more than {timeout_s:.0f} s",
            hint=f"in a terminal: adloom {' '.join(arguments)}",
        ) from error
    if done.returncode != 0:
        raise _refusal(done.returncode, done.stderr.decode(errors="replace"))
    return json.loads(done.stdout)


def _refusal(exit_code: int, said: str) -> AdloomError:
    """The error that a command printed, without the name of the file it was given."""
    message, _, hint = said.strip().partition("\n  try: ")
    kind = InvalidInputError if exit_code == InvalidInputError.exit_code else UnavailableError
    return kind(message.removeprefix("error: ")[-1000:] or f"it ended with {exit_code}", hint=hint)
