"""Processes that outlive the command which starts them, and are never confused with others.

A process is known by its pid and its start time together: once it has ended, whoever gets its pid
next is neither taken for it nor stopped in its place.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from adloom.errors import UnavailableError

# Forks, leaves the session (no Ctrl-C, no hang-up reaches the process, and its end is init's to
# note), drops to the given user, and becomes the program. The log is opened before the drop.
_LAUNCHER = """
import os, sys
log, uid, gid, *argv = sys.argv[1:]
pid = os.fork()
if pid:
    os.write(1, str(pid).encode())
    os._exit(0)
os.setsid()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
os.dup2(out, 1)
os.dup2(out, 2)
os.closerange(3, 64)
try:
    if uid:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    os.execvp(argv[0], argv)
except OSError as error:
    os.write(2, f"{argv[0]}: {error}\\n".encode())
    os._exit(127)
"""
_GONE_S = 30.0  # of a killed process, on a machine that has much else to do
_SAME_START_S = 2.0  # start times are kept in clock ticks since a boot time that may be corrected


@dataclass(frozen=True, slots=True)
class Process:
    """A detached process: `started` is its start time in seconds since the epoch."""

    name: str
    pid: int
    started: float
    log: Path


def start_detached(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path,
    account: pwd.struct_passwd | None = None,
) -> Process:
    """Starts `argv` in a session of its own, its output appended to `log`.

    With `account` (root only) it runs as that user. A program that cannot be executed ends at once
    with the reason in its log. Raises UnavailableError when no process can be started.
    """
    ids = (str(account.pw_uid), str(account.pw_gid)) if account else ("", "")
    try:
        launched = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(log), *ids, *argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(f"{name} cannot be started: {error}") from error
    pid = int(launched.stdout)
    return Process(name, pid, _start_time(pid) or time.time(), log)


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    started = _start_time(process.pid)
    return started is not None and abs(started - process.started) < _SAME_START_S


def is_running(process: Process) -> bool:
    """Whether this very process runs and is not about to end: one that is, is waited for, since
    whoever follows it needs its port."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if is_alive(process) and psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE:
            wait_until(lambda: not is_alive(process), _GONE_S)
    return is_alive(process)


def stop(
    process: Process, *, grace_s: float = 10.0, first: signal.Signals = signal.SIGTERM
) -> bool:
    """Stops the process and returns when it is gone; True if it went within the grace.

    It gets `first`; after `grace_s` its whole session's process group is killed.
    """
    if not is_alive(process):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, first)
    gentle = wait_until(lambda: not is_alive(process), grace_s)
    if not gentle:
        kill(process)
        wait_until(lambda: not is_alive(process), _GONE_S)
    return gentle


def stop_all(processes: Sequence[Process], *, grace_s: float) -> bool:
    """Stops processes together, each told once; True if all went within the grace."""
    alive = [p for p in processes if is_alive(p)]
    for process in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    gentle = wait_until(lambda: not any(is_alive(p) for p in alive), grace_s)
    for process in alive:
        kill(process)
    wait_until(lambda: not any(is_alive(p) for p in alive), _GONE_S)
    return gentle


def kill(process: Process) -> None:
    """SIGKILL to the process and to those it started in its group."""
    if not is_alive(process):
        return
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)


def listens(process: Process, port: int) -> bool:
    """Whether this very process listens on the port."""
    with contextlib.suppress(psutil.Error):
        return is_alive(process) and any(
            c.laddr.port == port and c.status == psutil.CONN_LISTEN
            for c in psutil.Process(process.pid).net_connections("tcp")
        )
    return False


def wait_until(holds: Callable[[], bool], timeout_s: float, *, every_s: float = 0.05) -> bool:
    """Whether `holds()` became true within the time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def log_tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _start_time(pid: int) -> float | None:
    """Seconds since the epoch, or None when there is no such process or only its remains.

    A killed process is a zombie as soon as its first thread has ended, while the others may still
    hold its ports and locks: it is gone when no other thread is left.
    """
    try:
        found = psutil.Process(pid)
        gone = found.status() == psutil.STATUS_ZOMBIE and found.num_threads() <= 1
        return None if gone else found.create_time()
    except psutil.NoSuchProcess:
        return None
