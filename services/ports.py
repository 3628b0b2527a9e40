"""Ports that nothing listens on."""

import contextlib
import random
import socket

from adloom.errors import UnavailableError

_LASTING_PORTS, _PORTS_TRIED = range(10_000, 32_000), 20
"""Below the ports that Linux gives to outgoing connections (32768 to 60999)."""


def free_port(host: str, preferred: int | None, *, hint: str | None = None) -> int:
    """A port of the host that nothing listens on: the preferred one if possible.

    Else one that no outgoing connection of this machine is given, so that a server that returns
    finds it free again. Raises UnavailableError, also for a host that is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    others = random.sample(_LASTING_PORTS, k=_PORTS_TRIED)
    for port in (*(() if preferred is None else (preferred,)), *others, 0):
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise UnavailableError("there is no free port", where=host, hint=hint)
