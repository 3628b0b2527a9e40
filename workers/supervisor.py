"""`adloom worker` itself: starts the process that works, and a new one when that has to go.

The process that works (workers/process.py) holds the models and the device. It ends when its
supervisor does, however that ends: it reads a pipe whose other end only the supervisor holds.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from adloom.errors import ConfigurationError

log = structlog.get_logger(__name__)

EXIT_DRAINED, EXIT_UNFIT, EXIT_REPLACE = 0, 4, 75
"""How the working process ends: as asked, or replaced where nobody asked the supervisor; for a
reason that a new one would meet again; for one that a new one would not meet."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
STEADY_S = 30.0
"""A process that worked this long is replaced without waiting."""
_KILL_AFTER_S = 3.0


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What `adloom worker` was told. `limit` is how many flow runs it takes at a time."""

    name: str
    pool: str
    limit: int
    hand_back: bool
    health_host: str
    health_port: int
    max_growth_mb: int

    def argv(self) -> Sequence[str]:
        """The command of the working process."""
        return [
            sys.executable, "-P", "-m", "workers.process",
            f"--name={self.name}", f"--pool={self.pool}", f"--limit={self.limit}",
            f"--health-host={self.health_host}", f"--health-port={self.health_port}",
            f"--max-growth-mb={self.max_growth_mb}",
            *(["--hand-back"] if self.hand_back else []),
        ]  # fmt: skip


class Supervisor:
    """Keeps one working process alive until it is told to stop."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._argv, self._env = list(argv), dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._stops = 0

    def run(self) -> int:
        """Returns the exit code: 0 when told to stop, that of the process if a new one would fail
        the same way."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_stop)
        failures = 0
        while True:
            started = time.monotonic()
            code = self._one_process()
            lived_s = time.monotonic() - started
            if code == EXIT_UNFIT:
                return code
            if self._stops:
                return EXIT_DRAINED
            failures = 1 if lived_s >= STEADY_S else failures + 1
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (failures - 1))
            log.warning("the working process ended", code=code, again_in_s=wait_s)
            self._wait(wait_s)
            if self._stops:
                return EXIT_DRAINED

    def _one_process(self) -> int:
        # A session of its own: Ctrl-C reaches the supervisor alone, which passes on what it means.
        process = subprocess.Popen(
            self._argv, env=self._env, stdin=subprocess.PIPE, start_new_session=True
        )
        self._process = process
        if self._stops:  # told so while it was being started
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait()
        finally:
            if process.stdin is not None:
                process.stdin.close()

    def _told_to_stop(self, _signal: int, _frame: object) -> None:
        """First: the process drains. Again: it stops at once, by force if need be."""
        self._stops += 1
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM if self._stops < 3 else signal.SIGKILL)
        if self._stops == 2:
            signal.signal(signal.SIGALRM, lambda *_: process.kill())
            signal.setitimer(signal.ITIMER_REAL, _KILL_AFTER_S)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stops and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))


@contextmanager
def only_one(name: str, folder: Path) -> Iterator[None]:
    """Holds a worker's name on this machine. Raises ConfigurationError if another has it.

    A process hands back what the one before it under its name held: two of one name would take
    each other's batches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"a worker named '{name}' runs already on this machine",
                where="--name",
                hint="give this one another name",
            ) from error
        yield
