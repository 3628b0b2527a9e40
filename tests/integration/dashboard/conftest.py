"""The dashboard as an application over a real database, and people who visit it."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from adloom.states import Role
from dashboard.access.cookies import cookie_name, csrf_token
from dashboard.app import create_app
from dashboard.context import Dashboard
from db.engine import Database
from db.queries import workspaces
from storage.local import LocalStore
from tasks import sign_in, users
from tasks.environment import Environment, Rendering
from tests.db_fixtures import (
    database,
    empty_postgres_url,
    postgres_server,
    postgres_url,
    shared_database,
)
from tests.integration.dashboard.browsing import chromium

__all__ = ["database", "empty_postgres_url", "postgres_server", "postgres_url", "shared_database"]

URL = "http://127.0.0.1:4300"
PASSWORD = "four words in a row"


class Visitor(TestClient):
    """A browser: keeps cookies, follows no redirects, and sends the token of its session."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            app, base_url=app.state.dashboard.url, follow_redirects=False,
            raise_server_exceptions=False, headers={"Accept": "text/html"},
        )  # fmt: skip
        self.dashboard: Dashboard = app.state.dashboard

    @property
    def session(self) -> str | None:
        return self.cookies.get(cookie_name(self.dashboard))

    @property
    def csrf(self) -> str:
        return csrf_token(self.dashboard, self.session or "")

    def act(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> Response:
        """POSTs a form as a page of ours does."""
        own = {"csrf_token": self.csrf, **(data or {})}
        return self.post(path, data=own, headers={"Origin": self.dashboard.url}, **more)

    def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> Response:
        """By the form, as a person does."""
        shown = self.get("/sign-in")
        token = re.search(r'name="csrf_token" value="(\w+)"', shown.text)
        assert token
        return self.post(
            "/sign-in",
            data={"csrf_token": token[1], "name": name, "password": password, **more},
            headers={"Origin": self.dashboard.url},
        )


@pytest.fixture
def env(shared_database: Database, tmp_path: Path) -> Environment:
    """A workspace of its own, and an object store in a folder."""
    slug = f"w-{uuid.uuid4().hex[:12]}"
    with shared_database.transaction() as tx:
        ws = workspaces.ensure(tx, slug)
    rendering = Rendering(weights_root=tmp_path / "weights")
    return Environment(
        shared_database, LocalStore(tmp_path / "objects"), slug, ws, rendering, "tests"
    )


@pytest.fixture
def app(env: Environment, tmp_path: Path) -> FastAPI:
    return create_app(Dashboard(env, b"s" * 32, tmp_path / "dashboard", url=URL))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def stranger(app: FastAPI) -> Visitor:
    """Somebody without a session."""
    return Visitor(app)


@pytest.fixture
def visitor_as(app: FastAPI, env: Environment) -> Callable[[Role], Visitor]:
    """Somebody who is signed in as `Role`, under the role's name."""

    def signed_in(role: Role) -> Visitor:
        if role.value not in {a.name for a in users.listed(env)}:
            users.add(env, role.value, role, password=None)
        client = sign_in.Client("127.0.0.1", "tests")
        session = sign_in.by_link(env, users.create_link(env, role.value), client)
        visitor = Visitor(app)
        visitor.cookies.set(cookie_name(visitor.dashboard), session.token)
        return visitor

    return signed_in
