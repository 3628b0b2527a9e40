"""Where the dashboard may listen."""

import socket
from pathlib import Path

import pytest

from adloom.errors import ConfigurationError
from adloom.states import Role
from dashboard.serving import Place, refuse_if_open, serve
from services.dashboard import address
from tasks import users
from tasks.environment import Environment
from tasks.settings import Settings


def test_beyond_loopback_it_needs_accounts_and_tls(env: Environment, tmp_path: Path) -> None:
    plain = Settings.load(home=tmp_path)
    for own in ("127.0.0.1", "::1", "localhost"):
        refuse_if_open(env, plain, own)
    for host in ("0.0.0.0", "::", "192.0.2.1", ""):
        with pytest.raises(ConfigurationError, match="no account"):
            refuse_if_open(env, plain, host)
    users.add(env, "ann", Role.ADMIN, password=None)
    with pytest.raises(ConfigurationError, match="without TLS"):
        refuse_if_open(env, plain, "0.0.0.0")
    with pytest.raises(ConfigurationError, match="without TLS"):
        refuse_if_open(env, Settings.load(home=tmp_path, dashboard_url="http://a.example"), "::")
    refuse_if_open(env, Settings.load(home=tmp_path, dashboard_url="https://a.example"), "::")
    certificate = Settings.load(home=tmp_path, dashboard_certificate=tmp_path / "c.pem")
    refuse_if_open(env, certificate, "0.0.0.0")


def test_a_port_that_is_taken_is_refused_in_words(env: Environment, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = Place("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="cannot listen"):
            serve(env, Settings.load(home=tmp_path), place, prefect_api_url=None, ready=print)


@pytest.mark.parametrize(
    ("host", "given", "url"),
    [
        ("127.0.0.1", {}, "http://127.0.0.1:4300"),
        ("::1", {}, "http://[::1]:4300"),
        ("0.0.0.0", {}, f"http://{socket.gethostname()}:4300"),
        ("0.0.0.0", {"dashboard_url": "https://ads.example/"}, "https://ads.example"),
        ("127.0.0.1", {"dashboard_certificate": "/c.pem"}, "https://127.0.0.1:4300"),
    ],
)
def test_its_address_is_what_browsers_use(host: str, given: dict[str, str], url: str) -> None:
    assert address(Settings.load(**given), host, 4300) == url
