"""A command of `adloom` that goes on after the terminal is closed."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

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
