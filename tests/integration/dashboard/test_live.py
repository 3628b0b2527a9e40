"""The stream of runs from a real server, and an outage of the database under it."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from adloom.states import Role
from dashboard.access.cookies import cookie_name
from dashboard.app import create_app
from dashboard.context import Dashboard
from dashboard.run_watch import RunWatch
from db.engine import Database
from db.queries import workspaces
from storage.local import LocalStore
from tasks import sign_in, users
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign
from tests.db_fixtures import TestServer
from tests.integration.dashboard.browsing import served


@pytest.fixture
def own_env(database: Database, tmp_path: Path) -> Environment:
    """On a database of its own, which can be taken away."""
    with database.transaction() as tx:
        ws = workspaces.ensure(tx, "w")
    rendering = Rendering(weights_root=tmp_path)
    return Environment(database, LocalStore(tmp_path / "objects"), "w", ws, rendering, "tests")


@dataclass(frozen=True)
class Followed:
    client: httpx.Client
    world: World


@pytest.fixture
def followed(own_env: Environment, tmp_path: Path) -> Iterator[Followed]:
    """A browser that is signed in, at a server that watches its runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(Dashboard(own_env, b"s" * 32, tmp_path / "dashboard", url=url))
    users.add(own_env, "ann", Role.VIEWER, password=None)
    signed_in = sign_in.by_link(own_env, users.create_link(own_env, "ann"), sign_in.Client("", ""))
    cookies = {cookie_name(app.state.dashboard): signed_in.token}
    world = World.open(own_env.database)
    world.add_products(1)
    watch = app.state.run_watch = RunWatch(own_env)
    watch.start()
    try:
        with (
            served(app, listener),
            httpx.Client(base_url=url, cookies=cookies, timeout=20.0) as client,
        ):
            yield Followed(client, world)
    finally:
        watch.stop()


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    kind = "message"
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))
            kind = "message"


def test_a_stream_tells_what_changed_and_outlives_the_database(
    followed: Followed, own_env: Environment, postgres_server: TestServer
) -> None:
    client, name = followed.client, own_env.database.location.rpartition("/")[2]
    with client.stream("GET", "/api/v1/runs/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = events(answer)
        assert next(found) == ("message", [])
        run_id = followed.world.run(campaign())
        assert [run["id"] for run in next(found)[1]] == [run_id]

        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        assert next(e for e in found if e[0] == "trouble")[1] == {
            "message": "The database does not answer."
        }
        assert client.get("/api/v1/health").status_code == 503
        assert client.get("/account", headers={"Accept": "text/html"}).status_code == 503

        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert [run["id"] for run in next(found)[1]] == [run_id]
        health = client.get("/api/v1/health")
        assert health.json() == {"database": "running", "prefect": "unknown"}


def test_streams_need_a_session(followed: Followed) -> None:
    followed.client.cookies.clear()
    for path in ("/api/v1/runs/live", "/api/v1/runs/1/live"):
        answer = followed.client.get(path, headers={"Accept": "text/event-stream"})
        assert answer.status_code == 401, path
