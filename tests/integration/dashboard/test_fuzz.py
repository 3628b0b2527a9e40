"""The API as its own description says, with all that hypothesis can think of: nothing breaks it."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from adloom.states import Role
from dashboard.app import create_app
from dashboard.context import Dashboard
from tasks import users
from tasks.environment import Environment
from tests.integration.dashboard.browsing import served

EXAMPLES = 10


@dataclass
class Api:
    schema: schemathesis.BaseSchema
    headers: dict[str, str]


@pytest.fixture
def api(env: Environment, app: FastAPI) -> Iterator[Api]:
    """The description as a running server gives it to an admin's token."""
    users.add(env, "fuzzer", Role.ADMIN, password=None)
    headers = {"Authorization": f"Bearer {users.create_token(env, 'fuzzer', 'fuzz')}"}
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    given_: Dashboard = app.state.dashboard
    with served(create_app(Dashboard(env, given_.secret, given_.folder, url=url)), listener):
        described = f"{url}/api/v1/openapi.json"
        yield Api(schemathesis.openapi.from_url(described, headers=headers), headers)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_the_server(api: Api, mode: GenerationMode) -> None:
    called = 0
    for found in api.schema.get_all_operations():
        operation = found.ok()
        takes = [*operation.iter_parameters(), *operation.body]
        if mode is GenerationMode.NEGATIVE and not takes:
            continue  # there is nothing that could be sent wrongly

        @given(case=operation.as_strategy(mode))
        @settings(
            max_examples=EXAMPLES if takes else 1,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        def call(case: schemathesis.Case) -> None:
            nonlocal called
            called += 1
            case.call_and_validate(headers=api.headers, checks=[not_a_server_error])

        call()
    assert called > EXAMPLES


def test_the_description_names_every_route_of_the_api(api: Api) -> None:
    described = {found.ok().label for found in api.schema.get_all_operations()}
    assert {"GET /api/v1/me", "GET /api/v1/audit", "PUT /api/v1/users/{name}/role"} <= described
