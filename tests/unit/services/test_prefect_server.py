"""Where our Prefect server is found, wherever it listens."""

import socket
from pathlib import Path

import pytest

from adloom.errors import UnavailableError
from services.prefect_server import PrefectServer


def server(host: str) -> PrefectServer:
    return PrefectServer(Path("home"), Path("log"), host)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:4200/api"),
        ("10.1.2.3", "http://10.1.2.3:4200/api"),
        ("0.0.0.0", "http://127.0.0.1:4200/api"),
        ("::", "http://[::1]:4200/api"),
        ("fd00::5", "http://[fd00::5]:4200/api"),
    ],
)
def test_its_address_is_one_that_this_machine_reaches(host: str, url: str) -> None:
    assert server(host).api_url(4200) == url


def test_a_port_is_sought_where_it_listens() -> None:
    with socket.socket() as other:
        taken = server("127.0.0.1").free_port(None)
        other.bind(("127.0.0.2", taken))
        other.listen()
        assert server("127.0.0.1").free_port(taken) == taken
        assert server("127.0.0.2").free_port(taken) != taken
    with pytest.raises(UnavailableError, match="ADLOOM_PREFECT_HOST"):
        server("192.0.2.1").free_port(None)  # reserved for documentation: no machine's own
