"""Every page as people see it: accessible, within the screen; pictures of all if asked for."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from adloom.states import Role
from dashboard.app import API, create_app
from dashboard.context import Dashboard
from tasks import users
from tasks.environment import Environment
from tests.integration.dashboard.browsing import keep_picture, served, violations
from tests.integration.dashboard.conftest import PASSWORD, Visitor
from tests.integration.dashboard.showcase import NOT_PAGES, Showcase, opened

WIDTHS = (1280, 640, 390)
"""A desk, the same at a zoom of 200 %, and a phone."""
EMPTY = (
    "/runs", "/review", "/review/grid", "/campaigns", "/campaigns/new", "/catalogue", "/scenes",
    "/numbers", "/audit", "/users",
)  # fmt: skip


@pytest.fixture
def site(env: Environment, tmp_path: Path) -> Iterator[tuple[FastAPI, str]]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(Dashboard(env, b"s" * 32, tmp_path / "dashboard", url=url))
    with served(app, listener):
        yield app, url


@pytest.fixture
def page_as(
    browser: Any, site: tuple[FastAPI, str], visitor_as: Callable[[Role], Visitor]
) -> Iterator[Callable[..., Any]]:
    """A browser's page, signed in as somebody of a role."""
    contexts: list[Any] = []

    def opened_as(role: Role, scheme: str) -> Any:
        context = browser.new_context(base_url=site[1], color_scheme=scheme)
        contexts.append(context)
        given = visitor_as(role).cookies.items()
        context.add_cookies([{"name": c, "value": v, "url": site[1]} for c, v in given])
        return context.new_page()

    yield opened_as
    for context in contexts:
        context.close()


def shows_pages(app: FastAPI) -> set[str]:
    return {
        str(route.path) for route in iter_route_contexts(app.routes)
        if "GET" in (route.methods or ()) and not str(route.path).startswith((API, "/static"))
    }  # fmt: skip


def looked_at(page: Any, address: str, name: str) -> list[str]:
    """What is wrong with a page in all widths; in the dark in one: colours are the same in all."""
    found: list[str] = []
    for width in WIDTHS[:1] if name.endswith("dark") else WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if width == WIDTHS[0]:
            page.goto(address)
            if address.startswith("/review"):
                page.locator("[data-part=loading]").wait_for(state="hidden")
        if page.locator("main img[src=x], main script:not([src])").count():
            found.append(f"{address} has markup of somebody's text")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{address} is wider than {width} px")
        if width == 640:
            continue
        keep_picture(page, f"{name}-{width}")
        found += [f"{address} at {width} px: {v}" for v in violations(page)]
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_any_screen(
    env: Environment, site: tuple[FastAPI, str], page_as: Callable[..., Any], scheme: str
) -> None:
    shown: Showcase = opened(env)
    assert set(shown.pages) == shows_pages(site[0]) - NOT_PAGES  # a new page has its row
    page = page_as(Role.ADMIN, scheme)
    problems: list[str] = []
    for route, address in shown.named.items():
        problems += looked_at(page, address, f"{_name(route)}-{scheme}")
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_empty_is_accessible_and_says_what_to_do(
    page_as: Callable[..., Any], scheme: str
) -> None:
    page = page_as(Role.ADMIN, scheme)
    problems: list[str] = []
    for address in EMPTY:
        problems += looked_at(page, address, f"empty-{_name(address)}-{scheme}")
    assert problems == []


def test_a_viewer_is_shown_accessible_pages_without_acts(
    env: Environment, page_as: Callable[..., Any]
) -> None:
    shown = opened(env)
    page = page_as(Role.VIEWER, "light")
    problems: list[str] = []
    for route in (
        "/runs/{run}", "/campaigns/{slug}", "/catalogue/{product}/photos/{photo}", "/review",
        "/creatives/{creative}", "/users",
    ):  # fmt: skip
        problems += looked_at(page, shown.pages[route], f"viewer-{_name(route)}")
    assert problems == []


def test_no_page_holds_a_secret(
    env: Environment, app: FastAPI, tmp_path: Path, visitor_as: Callable[[Role], Visitor]
) -> None:
    shown, admin = opened(env), visitor_as(Role.ADMIN)
    users.set_password(env, "olga", PASSWORD)
    secrets = {
        "s3cr3t-word", "s3cr3t-query", PASSWORD, "argon2", app.state.dashboard.secret.hex(),
        str(admin.session), str(tmp_path),
    }  # fmt: skip
    addresses = [*shown.named.values(), "/api/v1/users", "/api/v1/products", "/api/v1/audit"]
    for address in addresses:
        text = admin.get(address).text
        assert [s for s in secrets if s in text] == [], address


def _name(address: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in address.strip("/"))[:60]
