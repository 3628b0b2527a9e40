"""Where the dashboard may listen, and whom it believes about where a request comes from."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from adloom.errors import ConfigurationError
from adloom.states import Role
from dashboard.app import create_app
from dashboard.context import Dashboard
from dashboard.serving import Place, refuse_if_open, serve, server_config
from db.queries import audit
from services.dashboard import address
from tasks import sign_in, users
from tasks.environment import Environment
from tasks.settings import Settings
from tests.integration.dashboard.browsing import running


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


@contextmanager
def visited(env: Environment, settings: Settings, folder: Path) -> Iterator[httpx.Client]:
    """A client of the dashboard as it is really served."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(Dashboard(env, b"s" * 32, folder, url=url))
    with (
        running(server_config(app, settings), listener),
        httpx.Client(base_url=url, headers={"Accept": "text/html", "Origin": url}) as client,
    ):
        yield client


def guess(client: httpx.Client, name: str, headers: dict[str, str]) -> int:
    form = client.get("/sign-in").text
    token = form.split('name="csrf_token" value="')[1].split('"')[0]
    data = {"csrf_token": token, "name": name, "password": "wrong"}
    return client.post("/sign-in", data=data, headers=headers).status_code


def addresses(env: Environment) -> set[str]:
    with env.database.transaction() as tx:
        return {entry.address for entry in audit.page(tx, env.workspace_id)}


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP"])
def test_without_a_proxy_no_header_walks_round_the_bound_on_guesses(
    env: Environment, tmp_path: Path, header: str
) -> None:
    with visited(env, Settings.load(home=tmp_path), tmp_path) as client:
        codes = [
            guess(
                client,
                "ann",
                {header: f"for=192.0.2.{n}" if header == "Forwarded" else f"192.0.2.{n}"},
            )
            for n in range(sign_in.OF_NAME_FROM_ADDRESS + 1)
        ]
    assert codes[-1] == 429
    assert addresses(env) == {"127.0.0.1"}


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_saw(
    env: Environment, tmp_path: Path
) -> None:
    """The client writes what it likes before it."""
    behind = Settings.load(home=tmp_path, dashboard_url="https://ads.example")
    with visited(env, behind, tmp_path) as client:
        codes = [
            guess(client, "ann", {"X-Forwarded-For": f"10.0.0.{n}, 192.0.2.7"})
            for n in range(sign_in.OF_NAME_FROM_ADDRESS + 1)
        ]
    assert codes[-1] == 429
    assert addresses(env) == {"192.0.2.7"}


@pytest.mark.parametrize("trusted", ["*", "0.0.0.0/0", "127.0.0.1, ::/0"])
def test_clients_are_not_believed_about_their_own_address(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    """Where everybody is a proxy, everybody chooses their address, and guesses without bound."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    behind = Settings.load(home=tmp_path, dashboard_url="https://ads.example")
    app = create_app(Dashboard(env, b"s" * 32, tmp_path, url="https://ads.example"))
    with pytest.raises(ConfigurationError, match="FORWARDED_ALLOW_IPS"):
        server_config(app, behind)
    server_config(app, Settings.load(home=tmp_path))  # nobody is believed: it does not matter
