"""A supervisor keeps one process working, and neither outlives the other's purpose."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from adloom.errors import ConfigurationError
from workers.supervisor import only_one

SUPERVISE = """
import os, sys
from workers import supervisor
supervisor.FIRST_WAIT_S = 0.05
code = supervisor.Supervisor([sys.executable, "-c", sys.argv[1]], dict(os.environ)).run()
sys.exit(code)
"""

# Notes each start and signal in $NOTES; ends with its supervisor as workers/process.py does.
WORKS = """
import os, signal, sys, threading, time
notes = open(os.environ["NOTES"], "a", buffering=1)
starts = open(os.environ["NOTES"]).read().count("start")
told = 0
def on_term(*_):
    global told
    told += 1
    notes.write("told\\n")
    if told > 1 or os.environ.get("DRAINS"):
        os._exit(0)
signal.signal(signal.SIGTERM, on_term)
def ends_with_parent():
    while os.read(0, 1024): pass
    os._exit(75)
threading.Thread(target=ends_with_parent, daemon=True).start()
notes.write(f"start {os.getpid()}\\n")
codes = os.environ.get("CODES", "").split()
if starts < len(codes):
    sys.exit(int(codes[starts]))
while True: time.sleep(0.02)
"""


def supervise(notes: Path, **env: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, WORKS],
        env={**os.environ, "NOTES": str(notes), **env},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def comes_true(holds: Callable[[], bool], within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def said(notes: Path) -> str:
    return notes.read_text() if notes.exists() else ""


def started(notes: Path, times: int) -> bool:
    return comes_true(lambda: said(notes).count("start") >= times)


def test_a_process_that_ends_is_followed_by_another_until_told_to_stop(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    supervisor = supervise(notes, CODES="75 0 137", DRAINS="1")  # 0: nobody asked
    assert started(notes, 4)
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert said(notes).count("start") == 4
    assert said(notes).count("told") == 1


def test_a_process_that_can_never_work_is_not_followed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    supervisor = supervise(notes, CODES="75 4 1")
    assert supervisor.wait(60) == 4
    assert said(notes).count("start") == 2


def test_told_twice_it_stops_at_once(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    supervisor = supervise(notes)
    assert started(notes, 1)
    supervisor.terminate()
    assert comes_true(lambda: "told" in said(notes))
    assert supervisor.poll() is None, "the first signal lets it finish"
    supervisor.terminate()
    assert supervisor.wait(60) == 0


def test_the_working_process_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    supervisor = supervise(notes)
    assert started(notes, 1)
    worker = int(said(notes).split()[1])
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(60)
    assert comes_true(lambda: not psutil.pid_exists(worker))


def test_a_name_is_one_worker_s_on_a_machine(tmp_path: Path) -> None:
    with only_one("gpu-1", tmp_path):
        with only_one("gpu-2", tmp_path):
            pass
        with (
            pytest.raises(ConfigurationError, match=r"'gpu-1' runs already.*another name"),
            only_one("gpu-1", tmp_path),
        ):
            pass
    with only_one("gpu-1", tmp_path):
        pass
