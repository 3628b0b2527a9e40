"""What somebody tries who means harm: hostile values in every field of every page, and guessing."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from httpx import Response

from adloom.errors import TooManyAttemptsError
from adloom.states import Role
from dashboard.campaign_texts import runner
from dashboard.commands import starter
from tasks import sign_in, users
from tasks.environment import Environment
from tests.integration.dashboard.conftest import PASSWORD, Visitor

HOSTILE = (
    b"a\x00b", b"\xed\xa0\x80", b"\xff\xfe", b"' OR 1=1 --", b"%", b"\\", b"{{ 7 * 7 }}",
    b"<script>alert(1)</script>", b"../../../etc/passwd", b"-1", b"0", b"9" * 30, b"1e400", b"NaN",
    b"\r\nSet-Cookie: a=b", "\u202e\u0301\U0001f600".encode(), b"a" * 3000, b"",
)  # fmt: skip


@dataclass(frozen=True)
class Taken:
    """A route and the names of what it takes."""

    method: str
    path: str
    in_path: tuple[str, ...]
    in_query: tuple[str, ...]
    in_form: tuple[str, ...]


def pages(app: FastAPI) -> Iterator[Taken]:
    """The routes beside the API, which schemathesis does not know."""
    for route in iter_route_contexts(app.routes):
        path = str(route.path)
        if path.startswith(("/static", "/api/")):
            continue
        given = list(_all(route.dependant))
        for method in (route.methods or set()) - {"HEAD"}:
            names = (
                tuple(
                    sorted({name for d in given for field in fields(d) for name in _names(field)})
                )
                for fields in (_of_path, _of_query, _of_form)
            )
            yield Taken(method, path, *names)


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _all(inner)


def _names(field: Any) -> list[str]:
    """What a field is called; of a model that stands for several, what these are."""
    parts = getattr(field.field_info.annotation, "model_fields", None)
    return list(parts) if parts else [field.alias or field.name]


def _of_path(dependant: Dependant) -> list[Any]:
    return dependant.path_params


def _of_query(dependant: Dependant) -> list[Any]:
    return dependant.query_params


def _of_form(dependant: Dependant) -> list[Any]:
    return dependant.body_params


def percent(value: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in value)


def tried(visitor: Visitor, taken: Taken, value: bytes) -> Iterator[Response]:
    """Each parameter in turn is the hostile value; the others are harmless."""
    for hurt in (*taken.in_path, *taken.in_query, *taken.in_form):

        def given(name: str, hurt: str = hurt) -> str:
            return percent(value) if name == hurt else "1"

        path = re.sub(r"\{(\w+)\}", lambda m: given(m[1]), taken.path)
        query = "&".join(f"{name}={given(name)}" for name in taken.in_query)
        form = "&".join(f"{name}={given(name)}" for name in taken.in_form)
        headers = {
            "Origin": visitor.dashboard.url, "X-CSRF-Token": visitor.csrf,
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        content = form.encode() if taken.method != "GET" else None
        yield visitor.request(taken.method, f"{path}?{query}", content=content, headers=headers)


def test_no_value_in_any_field_of_any_page_breaks_it(
    app: FastAPI, visitor_as: Callable[[Role], Visitor]
) -> None:
    app.dependency_overrides[starter] = lambda: lambda _: "log"
    app.dependency_overrides[runner] = lambda: lambda *_, **__: {}
    tried_n, broken = 0, list[str]()
    for taken in pages(app):
        if taken.path in ("/sign-out", "/account/sign-out-everywhere"):
            continue
        visitor = visitor_as(Role.ADMIN)
        for value in HOSTILE:
            for answer in tried(visitor, taken, value):
                tried_n += 1
                if answer.status_code >= 500:
                    broken.append(f"{taken.method} {answer.url} {answer.status_code}")
                if "<script>alert(1)" in answer.text or "Set-Cookie: a=b" in str(answer.headers):
                    broken.append(f"{taken.method} {answer.url} echoes")
    assert broken == []
    assert tried_n > 500


MALFORMED = (
    ("application/json", b'{"text": ' + b"[" * 300_000),
    ("application/json", b'{"text": "\xff\xfe"}'),
    ("application/json", b'{"text": NaN, "count": 1e999, "key": Infinity}'),
    ("application/json", b"{" + b",".join(b'"%d": 1' % n for n in range(20_000)) + b"}"),
    ("application/json; charset=utf-7", b"+AHsAfQ-"),
    ("multipart/form-data", b"--x\r\n\r\n"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1"),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"; '
     b'filename="../../\x00"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--x--\r\n'),
    ("application/x-www-form-urlencoded", b"&".join(b"f%d=1" % n for n in range(5000))),
    ("application/x-www-form-urlencoded", b"%ff=%fe&text=%ed%a0%80&\xff"),
    ("text/plain", b"csrf_token=1"),
)  # fmt: skip


def test_no_body_that_cannot_be_read_breaks_a_route(
    app: FastAPI, visitor_as: Callable[[Role], Visitor]
) -> None:
    app.dependency_overrides[starter] = lambda: lambda _: "log"
    app.dependency_overrides[runner] = lambda: lambda *_, **__: {}
    broken: list[str] = []
    for route in iter_route_contexts(app.routes):
        for method in (route.methods or set()) - {"GET", "HEAD"}:
            visitor = visitor_as(Role.ADMIN)
            path = re.sub(r"\{[^}]+\}", "1", str(route.path))
            for kind, content in MALFORMED:
                headers = {"Content-Type": kind, "X-CSRF-Token": visitor.csrf}
                answer = visitor.request(method, path, content=content, headers=headers)
                if answer.status_code >= 500:
                    broken.append(f"{method} {route.path} {kind} {content[:30]!r}")
    assert broken == []


def test_a_sign_in_with_a_hostile_name_is_only_wrong(stranger: Visitor) -> None:
    for name in ("\x00", "ann\x00", "'; DROP TABLE account; --", "\u202eann", "a" * 200):
        answer = stranger.sign_in(name, "wrong \x00")
        assert answer.status_code in (401, 422), (name, answer.text)
    stranger.headers["User-Agent"] = "x" * 8000
    assert stranger.sign_in("nobody", "wrong").status_code == 401


def test_everybody_on_ipv4_is_one_address_each_where_it_listens_on_ipv6(env: Environment) -> None:
    users.add(env, "ann", Role.VIEWER, password=PASSWORD)
    guesser = sign_in.Client("::ffff:192.0.2.66", "")
    for n in range(sign_in.FROM_ADDRESS):
        with pytest.raises(Exception, match="wrong"):
            sign_in.by_password(env, f"guess{n}", "wrong", guesser)
    with pytest.raises(TooManyAttemptsError):
        sign_in.by_password(env, f"guess-{uuid.uuid4().hex}", "wrong", guesser)
    with pytest.raises(TooManyAttemptsError):
        sign_in.by_password(env, "ann", PASSWORD, sign_in.Client("192.0.2.66", ""))
    elsewhere = sign_in.Client("::ffff:192.0.2.1", "")
    assert sign_in.by_password(env, "ann", PASSWORD, elsewhere).account.name == "ann"
