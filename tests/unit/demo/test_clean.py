"""`python -m demo --clean` removes what the demo made, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from demo.__main__ import MARK

ROOT = Path(__file__).parents[3]


def cleaned(home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "demo", "--clean"],
        env={**os.environ, "ADLOOM_DEMO_HOME": str(home)},
        cwd=ROOT,
        check=False,
        text=True,
        capture_output=True,
        timeout=120,
    )


def test_the_demos_home_is_removed_with_all_that_is_in_it(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    (home / "home" / "objects").mkdir(parents=True)
    (home / MARK).touch()
    assert cleaned(home).returncode == 0
    assert not home.exists()
    assert cleaned(home).returncode == 0


def test_a_folder_that_the_demo_did_not_make_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.txt").write_text("mine")
    answer = cleaned(tmp_path)
    assert answer.returncode != 0
    assert str(tmp_path) in answer.stderr
    assert (tmp_path / "home" / "mine.txt").read_text() == "mine"
