"""What runs for one installation, as recorded in its home, and the lock that guards the record."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adloom.errors import ConfigurationError, UnavailableError
from services.processes import Process

_FILE, _LOCK = "state.json", ".lock"
_LOCK_S = 400.0  # longer than any start takes


@dataclass(frozen=True, slots=True)
class State:
    """`workers` are the processes, beside the servers, that `down` has to stop."""

    postgres: Process | None = None
    prefect: Process | None = None
    prefect_port: int | None = None
    dashboard: Process | None = None
    dashboard_port: int | None = None
    workers: tuple[Process, ...] = ()


def make_home(home: Path) -> None:
    """Raises ConfigurationError when the folder cannot be made or written."""
    try:
        for folder in (home, home / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        writable = os.access(home, os.W_OK | os.X_OK)
    except OSError as error:
        raise _unusable(home, error.strerror or str(error)) from error
    if not writable:
        raise _unusable(home, "Permission denied")


def load(home: Path) -> State | None:
    """The recorded state, or None when nothing is recorded. A broken record counts as none."""
    try:
        fields = json.loads((home / _FILE).read_text(encoding="utf-8"))
        return State(
            postgres=_process(fields["postgres"]),
            prefect=_process(fields["prefect"]),
            prefect_port=fields["prefect_port"],
            dashboard=_process(fields.get("dashboard")),
            dashboard_port=fields.get("dashboard_port"),
            workers=tuple(Process(**{**w, "log": Path(w["log"])}) for w in fields["workers"]),
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    except OSError as error:
        raise _unusable(home, error.strerror or str(error)) from error


def save(home: Path, state: State) -> None:
    """Replaces the record in one step; readable by its owner only."""
    unfinished = home / f"{_FILE}.{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=1, default=str)
    unfinished.replace(home / _FILE)


def forget(home: Path) -> None:
    (home / _FILE).unlink(missing_ok=True)


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Only one process at a time changes what runs. Raises UnavailableError after minutes."""
    with (home / _LOCK).open("a") as file:
        deadline = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        "another `adloom up` or `adloom down` has been at work for minutes",
                        where=str(home),
                        hint="wait for it or stop it, then try again",
                    ) from error
                time.sleep(0.1)
        yield


def _process(fields: dict[str, Any] | None) -> Process | None:
    return Process(**{**fields, "log": Path(fields["log"])}) if fields else None


def _unusable(home: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"the folder cannot be used: {reason}",
        where=str(home),
        hint="set ADLOOM_HOME to a folder that this user may write",
    )
