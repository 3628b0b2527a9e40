"""The API as its own description says, with all that hypothesis can think of: nothing breaks it."""

import socket
from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.openapi.checks import UndefinedStatusCode  # noqa: F401 (registers its checks)
from schemathesis.schemas import BaseSchema

from adloom.states import Role
from dashboard.app import create_app
from dashboard.context import Dashboard
from tasks import users
from tasks.environment import Environment
from tests.integration.dashboard.browsing import served


@pytest.fixture
def described(env: Environment, app: FastAPI) -> Iterator[BaseSchema]:
    """The description as a running server gives it to an admin's token."""
    users.add(env, "fuzzer", Role.ADMIN, password=None)
    headers = {"Authorization": f"Bearer {users.create_token(env, 'fuzzer', 'fuzz')}"}
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    before: Dashboard = app.state.dashboard
    served_app = create_app(Dashboard(env, before.secret, before.folder, url=url))
    with served(served_app, listener):
        schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", headers=headers)
        schema.config.update(headers=headers)
        yield schema


fuzzed = schemathesis.pytest.from_fixture("described")


@fuzzed.parametrize()
@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                           HealthCheck.filter_too_much],
)  # fmt: skip
def test_no_request_breaks_the_server(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=[not_a_server_error])
