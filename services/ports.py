"""Ports that nothing listens on."""

import contextlib
import socket

from adloom.errors import UnavailableError


def free_port(host: str, preferred: int | None, *, hint: str | None = None) -> int:
    """A port of the host that nothing listens on: the preferred one if possible.

    Raises UnavailableError, also for a host that is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise UnavailableError("there is no free port", where=host, hint=hint)
