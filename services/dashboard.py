"""The dashboard of one installation, started by `adloom up` as a process of its own."""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from adloom.errors import UnavailableError
from services.ports import free_port
from services.processes import (
    Process,
    is_alive,
    is_running,
    listens,
    log_tail,
    start_detached,
    stop,
    wait_until,
)
from services.stack import Running, ServiceState, ServiceStatus
from services.state import State, load, locked, save
from tasks.settings import Settings

_START_S = 60.0
_STOP_S = 8.0


def start_dashboard(settings: Settings, running: Running) -> str:
    """The address of this installation's dashboard, started if it does not run.

    Raises UnavailableError with its log's end when it cannot start.
    """
    with locked(settings.home):
        recorded = load(settings.home) or State()
        process, port = recorded.dashboard, recorded.dashboard_port
        if not (process and port and is_running(process)):
            port = free_port(
                settings.dashboard_host,
                settings.dashboard_port or recorded.dashboard_port,
                hint="check ADLOOM_DASHBOARD_HOST",
            )
            process = _launch(settings, running, port)
            recorded = replace(recorded, dashboard=process, dashboard_port=port)
            save(settings.home, recorded)
        wait_until(lambda: not is_alive(process) or listens(process, port), _START_S, every_s=0.1)
        if not listens(process, port):
            stop(process, grace_s=_STOP_S)
            save(settings.home, replace(recorded, dashboard=None, dashboard_port=None))
            raise UnavailableError(
                f"the dashboard did not start:\n{log_tail(process.log, 3)}", where=str(process.log)
            )
        return address(settings, settings.dashboard_host, port)


def dashboard_status(settings: Settings) -> ServiceStatus | None:
    """How the dashboard stands, None where it was not started."""
    recorded = load(settings.home) or State()
    process, port = recorded.dashboard, recorded.dashboard_port
    if process is None or port is None:
        return None
    runs = listens(process, port)
    return ServiceStatus(
        "dashboard",
        ServiceState.RUNNING if runs else ServiceState.FAILING,
        address(settings, settings.dashboard_host, port),
        process.pid if runs else None,
        process.log,
    )


def address(settings: Settings, host: str, port: int) -> str:
    """Where browsers find a dashboard that listens there: a proxy's address if one is named."""
    if settings.dashboard_url:
        return settings.dashboard_url
    scheme = "https" if settings.dashboard_certificate else "http"
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"


def _launch(settings: Settings, running: Running, port: int) -> Process:
    return start_detached(
        "dashboard",
        [
            sys.executable, "-P", "-m", "cli.main", "dashboard",
            f"--host={settings.dashboard_host}", f"--port={port}",
        ],
        log=settings.home / "logs" / "dashboard.log",
        env={**os.environ, **running.prefect_environment},
        cwd=Path.cwd(),
    )  # fmt: skip
