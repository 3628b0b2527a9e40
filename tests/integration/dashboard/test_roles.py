"""Who may ask for what: every route × every role."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from adloom.states import Role
from tests.integration.dashboard.access_table import OF_ROLE, PUBLIC
from tests.integration.dashboard.conftest import Visitor

OWN = {"/sign-out", "/account/password", "/account/sign-out-everywhere"}
"""What everybody may change: what is their own."""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    role: Role | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def address(self) -> str:
        return re.sub(r"\{[^}]+\}", "1", self.path)


def asked(app: FastAPI) -> Iterator[Asked]:
    for route in iter_route_contexts(app.routes):
        if route.path == "/static":
            continue
        assert route.path
        for method in (route.methods or set()) - {"HEAD"}:
            yield Asked(method, route.path, _role(route.dependant))


def _role(dependant: Dependant) -> Role | None:
    found = getattr(dependant.call, "required_role", None)
    return found or next(filter(None, map(_role, dependant.dependencies)), None)


def guarded(app: FastAPI) -> list[Asked]:
    found = [a for a in asked(app) if a.name not in PUBLIC]
    assert len(found) > 10
    return found


def test_every_route_is_for_whom_the_table_says(app: FastAPI) -> None:
    found = {a.name: a.role for a in asked(app)}
    wanted: dict[str, Role | None] = dict.fromkeys(PUBLIC)
    for role, names in OF_ROLE.items():
        assert not wanted.keys() & names
        wanted |= dict.fromkeys(names, role)
    assert found == wanted


def test_every_act_needs_more_than_looking(app: FastAPI) -> None:
    acts = [a for a in guarded(app) if a.method != "GET" and a.path not in OWN]
    assert acts
    assert [a for a in acts if a.role is None or not a.role.includes(Role.REVIEWER)] == []


def test_nothing_is_shown_or_done_without_a_session(app: FastAPI, stranger: Visitor) -> None:
    for route in guarded(app):
        answer = stranger.request(route.method, route.address)
        if route.path.startswith("/api/"):
            assert answer.status_code == 401, route
            assert answer.headers["content-type"] == "application/problem+json"
        else:
            assert answer.status_code == 303, route
            assert answer.headers["location"].startswith("/sign-in?next="), route


def test_a_lower_role_is_refused_and_the_needed_one_is_not(
    app: FastAPI, visitor_as: Callable[[Role], Visitor]
) -> None:
    visitors = {role: visitor_as(role) for role in Role}
    for route in guarded(app):
        assert route.role
        for role, visitor in visitors.items():
            headers = {"X-CSRF-Token": visitor.csrf}
            if not role.includes(route.role):
                answer = visitor.request(route.method, route.address, headers=headers)
                assert answer.status_code == 403, (route, role)
            elif route.method == "GET" and not route.path.endswith("/live"):
                answer = visitor.request(route.method, route.address)
                assert answer.status_code not in (401, 403, 500), (route, role, answer.text)


def test_an_act_without_the_sessions_token_is_refused(
    app: FastAPI, visitor_as: Callable[[Role], Visitor]
) -> None:
    admin, other = visitor_as(Role.ADMIN), visitor_as(Role.VIEWER)
    for route in guarded(app):
        if route.method == "GET":
            continue
        for headers in ({}, {"X-CSRF-Token": other.csrf}, {"X-CSRF-Token": "0" * 64}):
            answer = admin.request(route.method, route.address, headers=headers)
            assert answer.status_code == 403, (route, headers)
            assert "another session" in answer.text


def test_an_act_that_another_site_sends_is_refused_with_the_right_token(
    visitor_as: Callable[[Role], Visitor],
) -> None:
    admin = visitor_as(Role.ADMIN)
    for foreign in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = admin.post("/sign-out", headers={"X-CSRF-Token": admin.csrf, **foreign})
        assert answer.status_code == 403, foreign
    assert admin.get("/account").status_code == 200
