"""`python -m demo --clean` removes what the demo made, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from demo.__main__ import MARK

ROOT = Path(__file__).parents[3]


def demo(home: Path, *options: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "demo", *options],
        env={**os.environ, "ADLOOM_DEMO_HOME": str(home), **env},
        cwd=ROOT,
        check=False,
        text=True,
        capture_output=True,
        timeout=120,
    )


def cleaned(home: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    return demo(home, "--clean", **env)


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


def test_a_folder_of_the_users_is_refused_by_the_demo_itself_and_never_marked(
    tmp_path: Path,
) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine.txt").write_text("mine")
    answer = demo(tmp_path)
    assert answer.returncode != 0
    assert "ADLOOM_DEMO_HOME" in answer.stderr
    assert cleaned(tmp_path).returncode != 0
    assert [p.name for p in tmp_path.rglob("*")] == ["export", "mine.txt"]


def test_a_file_that_the_user_put_into_the_demos_home_stays(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / MARK).touch()
    (tmp_path / "mine.txt").write_text("mine")
    answer = cleaned(tmp_path)
    assert answer.returncode == 0
    assert str(tmp_path) in answer.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_deleted_where_the_servers_cannot_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "home" / "postgres").mkdir(parents=True)
    (tmp_path / MARK).touch()
    (tmp_path / "home" / "state.json").mkdir()  # what runs cannot be read
    assert cleaned(tmp_path).returncode != 0
    assert (tmp_path / "home" / "postgres").is_dir()
    assert (tmp_path / MARK).is_file()
