"""Where servers listen."""

import contextlib
import ipaddress
import socket

import psutil

from adloom.errors import UnavailableError
from services.processes import Process


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_port(host: str, *preferred: int | None, setting: str) -> int:
    """A port of the host that nothing listens on: the first of the preferred ones if possible.

    Raises UnavailableError, also for a host that is not this machine's; `setting` names what to
    check then.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (*preferred, 0):
        if port is None:
            continue
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise UnavailableError("there is no free port", where=host, hint=f"check {setting}")


def listens(process: Process, port: int) -> bool:
    """Whether this very process listens on the port."""
    with contextlib.suppress(psutil.Error):
        return any(
            c.laddr.port == port and c.status == psutil.CONN_LISTEN
            for c in psutil.Process(process.pid).net_connections("tcp")
        )
    return False
