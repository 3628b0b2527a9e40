"""Detached processes: started, known again, stopped, never mistaken."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import psutil

from services.ports import free_port
from services.processes import (
    Process,
    is_alive,
    is_running,
    kill,
    log_tail,
    start_detached,
    stop,
    wait_until,
)

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
# Whoever starts the tests in a shell's background hands down an ignored SIGINT.
HEEDS_SIGINT = (
    f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {STUBBORN}"
)
PARENT = (
    "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', "
    f"{STUBBORN!r}]); print(c.pid, flush=True); import signal; "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
)


# Its first thread ends, so the system calls it a zombie; a second one keeps its port.
LEADERLESS = (
    "import ctypes, socket, threading, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); "
    "s.listen(); threading.Thread(target=time.sleep, args=(60,)).start(); "
    "print(s.getsockname()[1], flush=True); ctypes.CDLL(None).pthread_exit(None)"
)


def start(code: str, folder: Path) -> Process:
    return start_detached(
        "sleeper", [sys.executable, "-c", code], log=folder / "log", env=os.environ, cwd=folder
    )


def said(folder: Path) -> bool:
    return wait_until(lambda: log_tail(folder / "log") != "", 20)


def test_a_process_runs_in_its_own_session_until_it_is_stopped(tmp_path: Path) -> None:
    process = start(SLEEP, tmp_path)
    assert said(tmp_path)
    assert is_alive(process)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert psutil.Process(process.pid).ppid() != os.getpid()
    assert stop(process)
    assert not is_alive(process)
    assert stop(process)


def test_one_that_ignores_the_signal_is_killed_with_those_it_started(tmp_path: Path) -> None:
    process = start(PARENT, tmp_path)
    assert wait_until(lambda: "up" in log_tail(tmp_path / "log"), 30)
    child = int(log_tail(tmp_path / "log").split()[0])
    assert psutil.pid_exists(child)
    assert not stop(process, grace_s=0.3)
    assert not is_alive(process)
    assert wait_until(
        lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", 10
    )


def test_a_process_is_alive_while_any_of_its_threads_holds_its_port(tmp_path: Path) -> None:
    process = start(LEADERLESS, tmp_path)
    assert said(tmp_path)
    port = int(log_tail(tmp_path / "log"))
    leader = psutil.Process(process.pid)
    assert wait_until(lambda: leader.status() == psutil.STATUS_ZOMBIE, 10)
    assert is_alive(process)
    kill(process)
    assert not is_running(process)
    assert wait_until(lambda: not is_alive(process), 20)
    assert free_port("127.0.0.1", port) == port


def test_whoever_has_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    process = start(SLEEP, tmp_path)
    earlier = replace(process, started=process.started - 60)
    assert not is_alive(earlier)
    assert stop(earlier)
    kill(earlier)
    assert is_alive(process)
    stop(process)


def test_a_program_that_cannot_be_executed_says_so_in_its_log(tmp_path: Path) -> None:
    process = start_detached(
        "nothing", ["/no/such/program"], log=tmp_path / "log", env={}, cwd=tmp_path
    )
    assert wait_until(lambda: not is_alive(process), 10)
    assert "/no/such/program: " in log_tail(tmp_path / "log")


def test_the_first_signal_can_be_chosen(tmp_path: Path) -> None:
    process = start(HEEDS_SIGINT, tmp_path)
    assert said(tmp_path)
    assert stop(process, first=signal.SIGINT)


def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(map(str, range(10_000))))
    assert log_tail(tmp_path / "log", lines=2) == "9998\n9999"
    assert log_tail(tmp_path / "none") == ""
