"""Signing in by an OpenID provider that runs beside the test, over HTTP."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from httpx import Response
from joserfc.jwk import RSAKey

from adloom.states import Role
from dashboard.access.provider import Provider, ProviderOptions
from dashboard.app import create_app
from dashboard.context import Dashboard
from tasks import users
from tasks.environment import Environment
from tasks.settings import Settings, roles_of
from tests.integration.dashboard.conftest import URL, Visitor
from tests.integration.dashboard.openid_provider import CLIENT, SECRET, OpenIdProvider, serving


@pytest.fixture(scope="module")
def running() -> Iterator[OpenIdProvider]:
    with serving() as provider:
        yield provider


@pytest.fixture
def provider(running: OpenIdProvider) -> OpenIdProvider:
    running.user = {"sub": "42", "preferred_username": "Ann", "roles": ["ads", "cooks"]}
    running.spoil, running.signing, running.issuer = {}, running.key, running.url
    return running


@pytest.fixture
def visitor(provider: OpenIdProvider, env: Environment, tmp_path: Path) -> Visitor:
    options = ProviderOptions(
        provider.url, CLIENT, SECRET, "roles", {"ads": Role.REVIEWER, "ops": Role.OPERATOR}
    )
    app: FastAPI = create_app(
        Dashboard(
            env, b"s" * 32, tmp_path, url=URL,
            provider=Provider(options, f"{URL}/sign-in/provider/back"),
        )
    )  # fmt: skip
    return Visitor(app)


def there_and_back(visitor: Visitor, **next: str) -> Response:
    """As a browser goes: to the provider by its address, and back by the one it is sent to."""
    sent = visitor.get("/sign-in/provider", params=next).headers["location"]
    back = httpx.get(sent).headers["location"]
    assert back.startswith(f"{URL}/sign-in/provider/back?")
    return visitor.get(back)


def test_the_first_sign_in_makes_an_account_and_the_role_follows_the_provider(
    provider: OpenIdProvider, visitor: Visitor, env: Environment
) -> None:
    assert "Sign in by your organisation" in visitor.get("/sign-in").text
    done = there_and_back(visitor, next="/account")
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    assert visitor.get("/api/v1/me").json() == {"name": "ann", "role": "reviewer", "by": "session"}
    provider.user["roles"] = ["ads", "ops"]
    there_and_back(visitor)
    assert visitor.get("/api/v1/me").json()["role"] == "operator"
    assert [a.name for a in users.listed(env)] == ["ann"]
    new = {"present": "-", "new": "four words in a row", "again": "four words in a row"}
    assert "no password here" in visitor.act("/account/password", new).text
    users.set_disabled(env, "ann", True)
    assert "disabled" in there_and_back(visitor).text


def test_a_provider_whose_name_ends_with_a_slash_signs_in(
    provider: OpenIdProvider, visitor: Visitor
) -> None:
    provider.issuer = f"{provider.url}/"
    assert there_and_back(visitor).status_code == 303


@pytest.mark.parametrize(
    "spoilt",
    [
        {"iss": "https://evil.example"}, {"aud": "another"}, {"nonce": "another"},
        {"exp": int(time.time()) - 3600}, {"sub": None}, {"aud": [CLIENT, "other"], "azp": "other"},
    ],
)  # fmt: skip
def test_an_id_token_that_does_not_hold_signs_nobody_in(
    provider: OpenIdProvider, visitor: Visitor, env: Environment, spoilt: dict[str, object]
) -> None:
    provider.spoil = spoilt
    assert there_and_back(visitor).status_code == 401
    assert visitor.get("/account").status_code == 303
    assert users.listed(env) == ()


def test_a_token_signed_by_another_key_signs_nobody_in(
    provider: OpenIdProvider, visitor: Visitor
) -> None:
    provider.signing = RSAKey.generate_key(2048, {"kid": "1"})
    assert there_and_back(visitor).status_code == 401


def test_keys_that_were_replaced_are_fetched_again(
    provider: OpenIdProvider, visitor: Visitor
) -> None:
    assert there_and_back(visitor).status_code == 303
    provider.key = provider.signing = RSAKey.generate_key(2048, {"kid": "1"})
    assert there_and_back(visitor).status_code == 303


def test_what_another_browser_began_is_not_ended_here(visitor: Visitor) -> None:
    sent = visitor.get("/sign-in/provider").headers["location"]
    back = httpx.get(sent).headers["location"]
    other = Visitor(visitor.app)  # pyright: ignore[reportArgumentType]
    assert other.get(back).status_code == 401
    visitor.get("/sign-in/provider")  # begins anew: the state before is no longer its
    assert visitor.get(back).status_code == 401


def test_over_tls_no_other_host_can_plant_an_attempt(
    provider: OpenIdProvider, env: Environment, tmp_path: Path
) -> None:
    options = ProviderOptions(provider.url, CLIENT, SECRET, "roles", {"ads": Role.REVIEWER})
    url = "https://ads.example"
    given = Provider(options, f"{url}/sign-in/provider/back")
    secure = Visitor(create_app(Dashboard(env, b"s" * 32, tmp_path, url=url, provider=given)))
    cookie = secure.get("/sign-in/provider").headers["set-cookie"]
    assert cookie.startswith("__Host-adloom_openid_")
    for part in ("HttpOnly", "Path=/", "SameSite=lax", "Secure"):
        assert part in cookie.split("; "), part


def test_an_account_of_the_same_name_is_not_taken_over(visitor: Visitor, env: Environment) -> None:
    users.add(env, "ann", Role.ADMIN, password=None)
    answer = there_and_back(visitor)
    assert answer.status_code == 401
    assert "already" in answer.text


def test_who_has_no_role_is_told_so(provider: OpenIdProvider, visitor: Visitor) -> None:
    for roles in (["cooks"], [], None, {"ads": 1}):
        provider.user["roles"] = roles
        assert "no role here" in there_and_back(visitor).text


def test_without_the_provider_passwords_still_work(env: Environment, tmp_path: Path) -> None:
    options = ProviderOptions("http://127.0.0.1:1", CLIENT, None, "roles", {})
    gone = Provider(options, URL)
    visitor = Visitor(create_app(Dashboard(env, b"s" * 32, tmp_path, url=URL, provider=gone)))
    assert visitor.get("/sign-in/provider").status_code == 503
    users.add(env, "bob", Role.VIEWER, password="four words in a row")
    assert visitor.sign_in("bob").status_code == 303


def test_roles_are_set_by_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert roles_of("ads-admins=admin, *=viewer") == {"ads-admins": Role.ADMIN, "*": Role.VIEWER}
    monkeypatch.setenv("ADLOOM_OIDC_ROLES", "ads=emperor")
    with pytest.raises(Exception, match="ADLOOM_OIDC_ROLES must look like"):
        Settings.load()
