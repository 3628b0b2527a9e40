"""What every answer carries, and what no request achieves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from adloom.states import Role
from dashboard import security
from dashboard.app import create_app
from dashboard.context import Dashboard
from db.engine import Database
from storage.local import LocalStore
from tasks import users
from tasks.environment import Environment, Rendering
from tests.integration.dashboard.conftest import URL, Visitor


def test_every_answer_is_safe_to_show(
    stranger: Visitor, visitor_as: Callable[[Role], Visitor]
) -> None:
    for answer in (
        stranger.get("/sign-in"), stranger.get("/runs"), stranger.get("/nowhere"),
        stranger.get("/static/app.css"), visitor_as(Role.ADMIN).get("/audit"),
        stranger.get("/api/v1/me"), stranger.post("/sign-in", content=b"x" * (2 << 20)),
    ):  # fmt: skip
        for name, value in security.HEADERS.items():
            assert answer.headers[name] == value, answer.request.url
    assert visitor_as(Role.ADMIN).get("/audit").headers["cache-control"] == "no-store"
    for word in ("unsafe-inline", "unsafe-eval", "*", "http:"):
        assert word not in security.CONTENT_SECURITY_POLICY


def test_pages_hold_no_script_or_style_of_their_own(
    visitor_as: Callable[[Role], Visitor],
) -> None:
    for path in ("/account", "/audit", "/users", "/sign-in", "/nowhere"):
        shown = visitor_as(Role.ADMIN).get(path).text
        assert "<script>" not in shown
        assert " style=" not in shown
        assert " onclick=" not in shown
        assert "http://" not in shown.replace("http://127.0.0.1", "")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4300", "127.0.0.1.evil.example", ""]
)
def test_another_name_for_this_server_is_refused(stranger: Visitor, host: str) -> None:
    assert stranger.get("/sign-in", headers={"Host": host}).status_code == 421
    for own in ("127.0.0.1:4300", "localhost:4300", "[::1]:4300"):
        assert stranger.get("/sign-in", headers={"Host": own}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd",
        "/static/%2e%2e%2f%2e%2e%2fpyproject.toml", "/static/....//app.py", "/static/\\..\\app.py",
        "/static/%00", "/static/",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_static_files(app: FastAPI, path: str) -> None:
    # The raw path, as a hostile client sends it: httpx would tidy it first.
    with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:
        request = client.build_request("GET", URL)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = client.send(request, follow_redirects=False)
    assert answer.status_code in (404, 405)
    assert "create_app" not in answer.text


def test_what_is_sent_is_bounded_with_and_without_a_length(stranger: Visitor) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    def endless() -> object:
        for _ in range(40):
            yield b"a" * (1 << 16)

    assert stranger.post("/sign-in", content=b"a" * (2 << 20), headers=headers).status_code == 413
    assert stranger.post("/sign-in", content=endless(), headers=headers).status_code == 413  # pyright: ignore
    lying = {**headers, "Content-Length": "a lot"}
    assert stranger.post("/sign-in", content=b"a", headers=lying).status_code == 413


def test_names_are_shown_as_text(stranger: Visitor, visitor_as: Callable[[Role], Visitor]) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    shown = stranger.sign_in(evil, "wrong").text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;" in shown
    stranger.get("/sign-in/link", params={"token": evil})
    admin = visitor_as(Role.ADMIN)
    for page in (
        admin.get("/audit"),
        admin.get("/audit", params={"account": evil}),
        admin.get("/sign-in/link", params={"token": evil}),
        admin.get("/users", params={"done": evil[:20]}),
        admin.act("/users", {"name": evil, "role": "viewer"}),
        admin.get("/sign-in", params={"next": evil}),
    ):
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text


def test_what_goes_into_queries_is_no_part_of_them(visitor_as: Callable[[Role], Visitor]) -> None:
    admin = visitor_as(Role.ADMIN)
    for hostile in ("' OR 1=1 --", "ann'; DROP TABLE account; --", "%", "\\", "ann\x00", "\ud800"):
        sent = hostile.encode("utf-8", "surrogatepass")
        answer = admin.request("GET", "/audit?account=" + "".join(f"%{b:02x}" for b in sent))
        assert answer.status_code in (200, 422)
        assert "sign-in" not in answer.text.split("<tbody>")[-1].split("</tbody>")[0] or (
            "<tbody>" not in answer.text
        )
    assert len(admin.get("/api/v1/audit").json()["entries"]) > 0


def test_an_admin_makes_accounts_and_changes_them(
    env: Environment, visitor_as: Callable[[Role], Visitor]
) -> None:
    admin = visitor_as(Role.ADMIN)
    made = admin.act("/users", {"name": "Bob", "role": "reviewer"})
    assert f"{URL}/sign-in/link?token=" in made.text
    assert admin.act("/users", {"name": "bob", "role": "viewer"}).status_code == 422
    assert admin.act("/users/bob/role", {"role": "operator"}).status_code == 303
    assert {a.name: a.role for a in users.listed(env)}["bob"] is Role.OPERATOR
    assert admin.act("/users/bob/role", {"role": "emperor"}).status_code == 422
    assert admin.act("/users/nobody/disable").status_code == 404
    assert admin.act("/users/admin/disable").status_code == 409
    assert admin.act("/users/bob/disable").status_code == 303
    entries = admin.get("/api/v1/audit", params={"account": "admin"}).json()["entries"]
    assert [e["act"] for e in entries][:3] == ["account.disable", "account.role", "account.link"]
    assert {e["address"] for e in entries[:3]} == {"testclient"}  # where they were done from


def test_the_audit_log_is_read_page_by_page(visitor_as: Callable[[Role], Visitor]) -> None:
    admin = visitor_as(Role.ADMIN)
    for _ in range(4):
        visitor_as(Role.ADMIN)
    seen: list[int] = []
    after = None
    while True:
        found = admin.get(
            "/api/v1/audit", params={"limit": 3, **({"after": after} if after else {})}
        )
        seen += [e["id"] for e in found.json()["entries"]]
        after = found.json()["after"]
        if after is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) >= 10


def test_an_unforeseen_error_shows_a_number_that_the_log_has(
    app: FastAPI, stranger: Visitor, capsys: pytest.CaptureFixture[str]
) -> None:
    @app.get("/breaks")
    def breaks(request: Request) -> None:
        raise RuntimeError(f"the inside of {request.url}")

    answer = stranger.get("/breaks")
    assert answer.status_code == 500
    assert "the inside" not in answer.text
    assert "RuntimeError" not in answer.text
    said = capsys.readouterr()
    reference = answer.text.split("under ")[1][:8]
    assert reference in said.out + said.err
    assert "the inside" in said.out + said.err
    problem = stranger.get("/breaks", headers={"Accept": "application/json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == 500


def test_without_the_database_pages_say_so_and_try_again(tmp_path: Path) -> None:
    gone = Database("postgresql://ann:s3cret@127.0.0.1:1/adloom?connect_timeout=2")
    rendering = Rendering(weights_root=tmp_path)
    env = Environment(gone, LocalStore(tmp_path), "w", 1, rendering, "tests")
    visitor = Visitor(create_app(Dashboard(env, b"s" * 32, tmp_path, url=URL)))
    visitor.get("/sign-in")
    page = visitor.get("/account")
    assert page.status_code == 503
    assert page.headers["retry-after"] == "5"
    assert 'http-equiv="refresh"' in page.text
    assert "The database does not answer" in page.text
    problem = visitor.get("/api/v1/health", headers={"Accept": "application/json"})
    assert problem.status_code == 503
    assert "database" in problem.json()["detail"]
    for answer in (page, problem):
        assert "s3cret" not in answer.text
        assert "127.0.0.1:1" not in answer.text
    assert visitor.get("/healthz").status_code == 200
    gone.dispose()


def test_pages_are_told_whether_prefect_answers(env: Environment, tmp_path: Path) -> None:
    gone = "http://127.0.0.1:1/api"
    app = create_app(Dashboard(env, b"s" * 32, tmp_path, url=URL, prefect_api_url=gone))
    users.add(env, "ann", Role.VIEWER, password=None)
    headers = {"Authorization": f"Bearer {users.create_token(env, 'ann', 'ci')}"}
    told = Visitor(app).get("/api/v1/health", headers=headers).json()
    assert told == {"database": "running", "prefect": "failing"}


def test_a_page_that_is_not_there_leads_back_who_is_signed_in_and_nobody_else(
    stranger: Visitor, visitor_as: Callable[[Role], Visitor]
) -> None:
    found, unknown = visitor_as(Role.VIEWER).get("/nowhere"), stranger.get("/nowhere")
    assert found.status_code == unknown.status_code == 404
    assert 'href="/review"' in found.text
    assert 'href="/review"' not in unknown.text


def test_addresses_with_bad_values_are_refused_in_words(
    visitor_as: Callable[[Role], Visitor],
) -> None:
    admin = visitor_as(Role.ADMIN)
    for query in ("limit=0", "limit=9999", "after=x", "after=99999999999999999999", "account=%00"):
        answer = admin.get(f"/api/v1/audit?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["problems"], query
        assert "input" not in answer.text
