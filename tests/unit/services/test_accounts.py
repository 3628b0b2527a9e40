"""What root does so that Postgres, as a system user, reaches its programs and files."""

import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adloom.errors import ConfigurationError
from services.accounts import make_reachable, postgres_account, reachable_programs


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="adloom-test-") as path:
        yield Path(path)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user")
def test_an_ordinary_user_s_postgres_runs_as_that_user(folder: Path) -> None:
    assert postgres_account() is None
    assert reachable_programs(folder, folder / "copy", None) == folder


def _useradd(codes: list[int]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Ends with one code after the other."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[0] == "useradd"
        if code := codes.pop(0):
            raise subprocess.CalledProcessError(code, command)
        return subprocess.CompletedProcess(command, 0)

    return run


@pytest.mark.parametrize("codes", [[0], [1, 0], [10, 1, 9]])
def test_a_user_that_two_processes_make_at_once_is_made(
    codes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pwd.getpwuid(0)

    def found(_: str) -> pwd.struct_passwd:
        if codes:
            raise KeyError
        return root

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", found)
    monkeypatch.setattr(subprocess, "run", _useradd(codes))
    assert postgres_account() == root


def test_a_user_that_cannot_be_made_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", missing)
    monkeypatch.setattr(subprocess, "run", _useradd([6]))
    with pytest.raises(ConfigurationError, match="cannot be made"):
        postgres_account()


def test_useradd_is_found_where_the_path_has_no_sbin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the system's own search: a useradd that ends with 6 stands beyond the PATH alone."""
    useradd = tmp_path / "sbin" / "useradd"
    useradd.parent.mkdir()
    useradd.write_text("#!/bin/sh\nexit 6\n")
    useradd.chmod(0o755)

    def missing(_: str) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("services.accounts._OF_ADMINISTRATORS", (str(useradd.parent),))
    with pytest.raises(ConfigurationError) as raised:
        postgres_account()
    assert isinstance(raised.value.__cause__, subprocess.CalledProcessError)
    assert raised.value.__cause__.returncode == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestAsRoot:
    def test_closed_folders_may_be_passed_through_but_not_listed(self, folder: Path) -> None:
        account = postgres_account()
        assert account is not None
        inner = folder / "closed" / "inner"
        inner.mkdir(parents=True)
        (folder / "closed").chmod(0o700)
        make_reachable(inner, account)
        assert _mode(folder / "closed") == _mode(folder) == 0o701

    def test_another_user_s_closed_folder_is_refused_and_nothing_is_opened(
        self, folder: Path
    ) -> None:
        account = postgres_account()
        assert account is not None
        theirs = folder / "theirs"
        (theirs / "inner").mkdir(parents=True, mode=0o700)
        theirs.chmod(0o700)
        os.chown(theirs, 12_345, 12_345)
        with pytest.raises(ConfigurationError, match="ADLOOM_HOME"):
            make_reachable(theirs / "inner", account)
        assert _mode(theirs) == _mode(folder) == 0o700

    def test_programs_in_a_closed_folder_are_copied_to_where_they_can_run(
        self, folder: Path
    ) -> None:
        account = postgres_account()
        assert account is not None
        package, home = folder / "venv" / "package", folder / "home"
        package.mkdir(parents=True)
        home.mkdir()
        make_reachable(home, account)
        (folder / "venv").chmod(0o700)
        program = package / "hello"
        program.write_text("#!/bin/sh\necho hello\n")
        program.chmod(0o700)
        reached = reachable_programs(package, home / "programs", account)
        said = subprocess.run(
            [str(reached / "hello")],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "hello\n"
        assert reached == home / "programs"
        assert _mode(folder / "venv") == 0o700
        assert reachable_programs(package, home / "programs", account) == reached

    def test_programs_that_can_run_are_left_where_they_are(self, folder: Path) -> None:
        programs = Path("/usr/bin")
        assert reachable_programs(programs, folder / "copy", postgres_account()) == programs
        assert not (folder / "copy").exists()
