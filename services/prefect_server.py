"""Our own Prefect server, kept on the same Postgres in a second database."""

import contextlib
import ipaddress
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from adloom.errors import ConfigurationError, UnavailableError
from services.ports import free_port
from services.processes import Process, is_alive, log_tail, start_detached, stop, wait_until
from tasks.logs import prefect_environment

HOST = "127.0.0.1"
_START_S = 240.0  # 4-7 s where nothing else runs; the first start makes its tables
_STOP_S = 15.0
_LEASES_ON_DISK = "prefect.server.concurrency.lease_storage.filesystem"
"""They outlive a restart: Prefect ends the flow runs whose leases it has forgotten."""
_COMMON = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # what workers.automations waits for
}


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """The server whose files are in `home` and which writes to `log`."""

    home: Path
    log: Path
    host: str = HOST
    auth: str | None = field(default=None, repr=False)
    log_format: str = "text"

    def launch(self, database_url: str, port: int) -> Process:
        """Starts the server's process and does not wait for it.

        `database_url`: the `postgresql+asyncpg://` address of a database of its own. It is passed
        in the process's environment only, where other users cannot read it. Raises
        ConfigurationError if the server would be open to other machines without a password.
        """
        self._require_password()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        env = {
            **_without_prefect(os.environ),
            **client_environment(self.api_url(port), self.home, self.auth),
            **prefect_environment(self.log_format),
            "PREFECT_API_DATABASE_CONNECTION_URL": database_url,
            "PREFECT_SERVER_API_HOST": self.host,
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_SERVER_METRICS_ENABLED": "true",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES_ON_DISK,
        }
        if self.auth:
            env["PREFECT_SERVER_API_AUTH_STRING"] = self.auth
        argv = [sys.executable, "-P", "-m", "prefect", "server", "start"]
        return start_detached(
            "prefect", [*argv, "--host", self.host, "--port", str(port)], log=self.log, env=env,
            cwd=self.home,
        )  # fmt: skip

    def api_url(self, port: int) -> str:
        """The API's address as this machine reaches it."""
        host = reachable(self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/api"

    def _require_password(self) -> None:
        if not self.auth and not is_loopback(self.host):
            raise ConfigurationError(
                f"Prefect's server would listen on {self.host} without a password",
                where="ADLOOM_PREFECT_HOST",
                hint="set ADLOOM_PREFECT_AUTH=user:password, for the workers as well",
            )

    def wait_until_healthy(self, process: Process, port: int) -> None:
        """Returns when this very process answers. Raises UnavailableError with its log's end."""
        if not wait_until(
            lambda: not is_alive(process) or self.is_healthy(process, port), _START_S, every_s=0.1
        ):
            raise UnavailableError(
                f"the Prefect server does not answer after {_START_S:.0f} s",
                where=str(self.log),
                hint="see its log, then try `adloom down` and `adloom up`",
            )
        if not is_alive(process):
            raise UnavailableError(
                f"the Prefect server ended at its start:\n{log_tail(self.log)}",
                where=str(self.log),
            )

    def is_healthy(self, process: Process, port: int) -> bool:
        """Whether the process listens on the port and its API answers."""
        with contextlib.suppress(psutil.Error):
            listening = {
                c.laddr.port
                for c in psutil.Process(process.pid).net_connections("tcp")
                if c.status == psutil.CONN_LISTEN
            }
            return port in listening and answers(self.api_url(port))
        return False

    def free_port(self, preferred: int | None) -> int:
        """A port of the host that nothing listens on: the preferred one if possible.

        Else one that no outgoing connection of this machine is given, so that the server finds it
        free when it returns: workers know it by its port. Raises UnavailableError, also for a host
        that is not this machine's.
        """
        return free_port(self.host, preferred, hint="check ADLOOM_PREFECT_HOST")


def stop_server(process: Process) -> bool:
    """True if the server went by itself."""
    return stop(process, grace_s=_STOP_S)


def reachable(host: str) -> str:
    """Where a server that listens on `host` is found from its own machine."""
    return {"0.0.0.0": HOST, "": HOST, "::": "::1"}.get(host, host)


def client_environment(prefect_api_url: str, home: Path, auth: str | None = None) -> dict[str, str]:
    """What a process needs in its environment to run flows against our server, and quietly."""
    needed = {**_COMMON, "PREFECT_API_URL": prefect_api_url, "PREFECT_HOME": str(home)}
    return {**needed, "PREFECT_API_AUTH_STRING": auth} if auth else needed


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def answers(prefect_api_url: str) -> bool:
    """Whether a Prefect API is there."""
    try:
        return httpx.get(f"{prefect_api_url}/health", timeout=5.0).status_code == 200
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def version_of(prefect_api_url: str, auth: str | None = None) -> str:
    """The server's version of Prefect. Raises UnavailableError, and ConfigurationError where it
    wants another password."""
    user = httpx.BasicAuth(*auth.split(":", 1)) if auth else None
    try:
        answer = httpx.get(f"{prefect_api_url}/admin/version", timeout=5.0, auth=user)
        if answer.status_code in (401, 403):
            raise ConfigurationError(
                "the Prefect server refuses the password",
                where=prefect_api_url,
                hint="set ADLOOM_PREFECT_AUTH to the server's user:password",
            )
        return str(answer.raise_for_status().json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise UnavailableError(
            f"the Prefect server does not answer: {error}",
            where=prefect_api_url,
            hint="check ADLOOM_PREFECT_API_URL, or run `adloom up`",
        ) from error


def _without_prefect(environment: "os._Environ[str]") -> dict[str, str]:
    return {k: v for k, v in environment.items() if not k.startswith("PREFECT_")}
