"""A real server, streams of events, and an outage of the database under them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request
from sqlalchemy import text
from starlette.responses import StreamingResponse

from adloom.states import Role
from dashboard import live as live_module
from dashboard.access import Viewer
from dashboard.access.cookies import cookie_name
from dashboard.app import create_app
from dashboard.context import Dashboard
from dashboard.live import live
from db.engine import Database
from db.queries import workspaces
from storage.local import LocalStore
from tasks import sign_in, users
from tasks.environment import Environment, Rendering
from tests.db_fixtures import TestServer
from tests.integration.dashboard.browsing import served


@pytest.fixture
def own_env(database: Database, tmp_path: Path) -> Environment:
    """On a database of its own, which can be taken away."""
    with database.transaction() as tx:
        ws = workspaces.ensure(tx, "w")
    rendering = Rendering(weights_root=tmp_path)
    return Environment(database, LocalStore(tmp_path / "objects"), "w", ws, rendering, "tests")


@pytest.fixture
def client(own_env: Environment, tmp_path: Path) -> Iterator[httpx.Client]:
    """A browser that is signed in, at a server with a stream of how many accounts there are."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(Dashboard(own_env, b"s" * 32, tmp_path / "dashboard", url=url))

    @app.get("/counting")
    def counting(request: Request, person: Viewer) -> StreamingResponse:
        del person

        def read(tx: object) -> dict[str, int]:
            found = tx.execute(text("SELECT count(*) FROM account"))  # pyright: ignore
            return {"accounts": found.scalar_one()}

        return live(request, read, every_s=0.05)

    users.add(own_env, "ann", Role.VIEWER, password=None)
    signed_in = sign_in.by_link(own_env, users.create_link(own_env, "ann"), sign_in.Client("", ""))
    cookies = {cookie_name(app.state.dashboard): signed_in.token}
    with (
        served(app, listener),
        httpx.Client(base_url=url, cookies=cookies, timeout=20.0) as client,
    ):
        yield client


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, object]]]:
    kind = "message"
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))
            kind = "message"


def test_a_stream_sends_what_changed_and_outlives_the_database(
    client: httpx.Client, own_env: Environment, postgres_server: TestServer
) -> None:
    name = own_env.database.location.rpartition("/")[2]
    with client.stream("GET", "/counting") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = events(answer)
        assert next(found) == ("message", {"accounts": 1})
        users.add(own_env, "bob", Role.VIEWER, password=None)
        assert next(found) == ("message", {"accounts": 2})

        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        assert next(found)[0] == "trouble"
        assert client.get("/api/v1/health").status_code == 503
        assert client.get("/account", headers={"Accept": "text/html"}).status_code == 503

        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert next(found) == ("message", {"accounts": 2})
        health = client.get("/api/v1/health")
        assert health.json() == {"database": "running", "prefect": "unknown"}


def test_a_stream_ends_with_its_session(
    client: httpx.Client, own_env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_SIGNED_IN_S", 0.0)
    with client.stream("GET", "/counting") as answer:
        found = events(answer)
        assert next(found)[0] == "message"
        users.set_disabled(own_env, "ann", True)
        assert [e for e in found if e[0] == "end"] == [("end", {"message": "signed out"})]


def test_streams_need_a_session(client: httpx.Client) -> None:
    client.cookies.clear()
    answer = client.get("/counting", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 401
