"""Sessions: how they begin, whose they are, how they end."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from adloom.errors import ConflictError, InvalidInputError
from adloom.states import Role
from dashboard.app import create_app
from dashboard.context import Dashboard
from tasks import sign_in, users
from tasks.environment import Environment
from tests.integration.dashboard.conftest import PASSWORD, Visitor


@pytest.fixture
def ann(env: Environment) -> str:
    users.add(env, "ann", Role.OPERATOR, password=PASSWORD)
    return "ann"


def acts(env: Environment) -> list[str]:
    with env.database.transaction() as tx:
        rows = tx.execute(
            text(
                "SELECT account || ' ' || act FROM audit_log WHERE workspace_id = :ws ORDER BY id"
            ),
            {"ws": env.workspace_id},
        )
        return list(rows.scalars())


def test_a_person_signs_in_and_out(env: Environment, stranger: Visitor, ann: str) -> None:
    assert stranger.get("/account").headers["location"] == "/sign-in?next=%2Faccount"
    done = stranger.sign_in(ann, next="/account")
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    assert "ann" in stranger.get("/account").text
    session = stranger.session
    assert stranger.act("/sign-out").headers["location"] == "/sign-in"
    stranger.cookies.set(f"adloom_{stranger.dashboard.key('cookie name').hex()[:8]}", session or "")
    assert stranger.get("/account").status_code == 303
    assert acts(env) == ["console account.add", "ann sign-in", "ann sign-out"]


def test_the_cookie_is_for_this_site_alone_and_out_of_reach_of_scripts(
    app: FastAPI, stranger: Visitor, ann: str
) -> None:
    cookie = stranger.sign_in(ann).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert "domain" not in cookie
    before: Dashboard = app.state.dashboard
    behind_tls = Visitor(
        create_app(
            Dashboard(before.environment, before.secret, before.folder, url="https://ads.example")
        )
    )
    done = behind_tls.sign_in(ann)
    assert done.headers["set-cookie"].startswith("__Host-")
    assert "; secure" in done.headers["set-cookie"].lower()
    assert "max-age=" in done.headers["strict-transport-security"]
    assert behind_tls.get("/account").status_code == 200


def test_signing_in_begins_a_new_session_whatever_the_browser_brought(
    env: Environment, stranger: Visitor, ann: str
) -> None:
    stranger.get("/sign-in")
    planted = stranger.session
    assert planted
    stranger.sign_in(ann)
    first = stranger.session
    assert first != planted
    stranger.sign_in(ann)
    with env.database.transaction() as tx:
        kept = "SELECT count(*) FROM account_session WHERE workspace_id = :ws"
        assert tx.execute(text(kept), {"ws": env.workspace_id}).scalar_one() == 1
    stranger.cookies.clear()
    stranger.cookies.set(f"adloom_{stranger.dashboard.key('cookie name').hex()[:8]}", planted)
    assert stranger.get("/account").status_code == 303


def test_of_tokens_the_database_keeps_hashes(env: Environment, stranger: Visitor, ann: str) -> None:
    stranger.sign_in(ann)
    token, link = users.create_token(env, ann, "ci"), users.create_link(env, ann)
    with env.database.transaction() as tx:
        for table in ("account_session", "api_token", "sign_in_link", "account", "audit_log"):
            kept = str(tx.execute(text(f"SELECT * FROM {table}")).all())
            for secret in (stranger.session, token, link, PASSWORD):
                assert secret
                assert secret not in kept, table


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example",
        "javascript:alert(1)", "evil.example", "/a\r\nSet-Cookie: a=b", "\\\\evil.example", "",
        "/\x00", "http:/evil.example", "/" + "a" * 1990 + "\n",
    ],
)  # fmt: skip
def test_signing_in_leads_to_pages_of_ours_only(stranger: Visitor, ann: str, wanted: str) -> None:
    assert stranger.sign_in(ann, next=wanted).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_name_read_the_same(stranger: Visitor, ann: str) -> None:
    wrong, unknown = stranger.sign_in(ann, "wrong"), stranger.sign_in("nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    said = [re.search(r'role="alert">([^<]*)', a.text) for a in (wrong, unknown)]
    assert said[0]
    assert said[1]
    assert said[0][1] == said[1][1] == "The name or the password is wrong."


def test_guessing_is_stopped_even_with_the_right_password(
    env: Environment, stranger: Visitor, ann: str
) -> None:
    for _ in range(sign_in.OF_NAME_FROM_ADDRESS):
        assert stranger.sign_in(ann, "wrong").status_code == 401
    assert stranger.sign_in(ann).status_code == 429
    elsewhere = sign_in.Client("10.0.0.9", "")
    assert sign_in.by_password(env, ann, PASSWORD, elsewhere).account.name == ann


def test_success_forgets_the_attempts_before_it(stranger: Visitor, ann: str) -> None:
    for _ in range(3):
        for _ in range(sign_in.OF_NAME_FROM_ADDRESS - 1):
            assert stranger.sign_in(ann, "wrong").status_code == 401
        assert stranger.sign_in(ann).status_code == 303


def test_a_form_of_another_site_signs_nobody_in(stranger: Visitor, ann: str) -> None:
    stranger.get("/sign-in")
    data = {"name": ann, "password": PASSWORD}
    assert stranger.post("/sign-in", data=data).status_code == 403
    data["csrf_token"] = stranger.csrf
    foreign = {"Origin": "https://evil.example"}
    assert stranger.post("/sign-in", data=data, headers=foreign).status_code == 403


def test_a_link_signs_in_once(env: Environment, app: FastAPI, ann: str) -> None:
    token = users.create_link(env, ann)
    first, second = Visitor(app), Visitor(app)
    for visitor in (first, second):
        assert visitor.get(f"/sign-in/link?token={token}").status_code == 200  # only looks
    assert first.act("/sign-in/link", {"token": token}).headers["location"] == "/"
    assert first.get("/account").status_code == 200
    refused = second.act("/sign-in/link", {"token": token})
    assert refused.status_code == 401
    assert "has been used" in refused.text


def test_where_nobody_has_an_account_there_is_a_link_for_an_admin(env: Environment) -> None:
    token = users.first_link(env)
    assert token
    found = sign_in.by_link(env, token, sign_in.Client("127.0.0.1", "")).account
    assert (found.name, found.role) == (users.LOCAL, Role.ADMIN)
    users.add(env, "ann", Role.VIEWER, password=None)
    assert users.first_link(env) is None


def test_a_changed_password_signs_out_everywhere(app: FastAPI, ann: str) -> None:
    here, there = Visitor(app), Visitor(app)
    here.sign_in(ann)
    there.sign_in(ann)
    new = "another four words"
    form = {"present": PASSWORD, "new": new, "again": new}
    assert here.act("/account/password", {**form, "present": "wrong"}).status_code == 422
    assert here.act("/account/password", {**form, "again": "x" * 12}).status_code == 422
    short = here.act("/account/password", {**form, "new": "short", "again": "short"})
    assert short.status_code == 422
    assert "12 to 1024" in short.text
    assert there.get("/account").status_code == 200
    assert here.act("/account/password", form).status_code == 303
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303
    assert there.sign_in(ann).status_code == 401
    assert there.sign_in(ann, new).status_code == 303


def test_a_disabled_account_is_out_at_once(env: Environment, stranger: Visitor, ann: str) -> None:
    stranger.sign_in(ann)
    token = users.create_token(env, ann, "ci")
    bearer = {"Authorization": f"Bearer {token}"}
    assert stranger.get("/api/v1/me").json()["role"] == "operator"
    users.set_role(env, ann, Role.VIEWER)
    assert stranger.get("/api/v1/me").json()["role"] == "viewer"
    users.set_disabled(env, ann, True)
    assert stranger.get("/account").status_code == 303
    stranger.cookies.clear()
    assert stranger.get("/api/v1/me", headers=bearer).status_code == 401
    assert stranger.sign_in(ann).status_code == 401
    users.set_disabled(env, ann, False)
    assert stranger.get("/api/v1/me", headers=bearer).json()["by"] == "token"


def test_sessions_end_when_idle_and_when_old(
    env: Environment, visitor_as: Callable[[Role], Visitor]
) -> None:
    for column, back in (("seen_at", sign_in.IDLE_S + 1), ("expires_at", sign_in.SESSION_S + 1)):
        visitor = visitor_as(Role.VIEWER)
        assert visitor.get("/account").status_code == 200
        moved = text(
            f"UPDATE account_session SET {column} = {column} - make_interval(secs => :back) "
            "WHERE workspace_id = :ws"
        )
        with env.database.transaction() as tx:
            tx.execute(moved, {"back": back, "ws": env.workspace_id})
        assert visitor.get("/account").status_code == 303


def test_a_page_that_was_left_open_keeps_no_session_alive(
    env: Environment, visitor_as: Callable[[Role], Visitor]
) -> None:
    """It asks how things stand every few seconds, for as long as the screen is on."""
    visitor = visitor_as(Role.VIEWER)
    moved = text("UPDATE account_session SET seen_at = now() - interval '11 hours' "
                 "WHERE workspace_id = :ws")  # fmt: skip
    idle = text("SELECT extract(epoch FROM now() - seen_at) FROM account_session "
                "WHERE workspace_id = :ws")  # fmt: skip

    def idle_s() -> float:
        with env.database.transaction() as tx:
            return float(tx.execute(idle, {"ws": env.workspace_id}).scalar_one())

    with env.database.transaction() as tx:
        tx.execute(moved, {"ws": env.workspace_id})
    by_itself = {"X-Unattended": "1"}
    assert visitor.get("/api/v1/health", headers=by_itself).status_code == 200
    assert visitor.get("/runs", headers=by_itself).status_code == 200
    assert idle_s() > 10 * 3600
    assert visitor.get("/runs").status_code == 200
    assert idle_s() < 60


def test_api_tokens_are_revoked_and_expire(env: Environment, stranger: Visitor, ann: str) -> None:
    first = users.create_token(env, ann, "ci")
    second = users.create_token(env, ann, "ci")  # in its place
    users.create_token(env, ann, "old", days=1)

    def status(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return stranger.get("/api/v1/me", headers=headers).status_code

    assert (status(first), status(second)) == (401, 200)
    with env.database.transaction() as tx:
        tx.execute(text("UPDATE api_token SET expires_at = now() WHERE label = 'ci'"))
    assert status(second) == 401
    users.revoke_token(env, ann, "old")
    assert [t.label for t in users.tokens(env)] == ["ci"]


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-a", "a/../b", "a" * 101, "<script>", "a\n"])
def test_names_are_plain(env: Environment, name: str) -> None:
    with pytest.raises(InvalidInputError, match="no name for an account"):
        users.add(env, name, Role.VIEWER, password=None)


def test_the_audit_log_cannot_be_changed(env: Environment) -> None:
    users.add(env, "ann", Role.VIEWER, password=None)
    for statement in ("UPDATE audit_log SET act = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(ConflictError, match="append-only"), env.database.transaction() as tx:
            tx.execute(text(statement))
