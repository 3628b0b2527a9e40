"""What a person meets in a browser: signing in, the frame of all pages, outages."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI

from adloom.states import Role
from dashboard.app import create_app
from dashboard.context import Dashboard
from tasks import users
from tasks.environment import Environment
from tests.integration.dashboard.browsing import served
from tests.integration.dashboard.conftest import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@dataclass
class Site:
    """A server that can be stopped and started again on its port."""

    app: FastAPI
    listener: socket.socket
    url: str
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        self._running.enter_context(served(self.app, self.listener))

    def stop(self) -> None:
        self._running.close()

    def restart(self) -> None:
        port = int(self.url.rpartition(":")[2])
        self.listener = socket.create_server(("127.0.0.1", port))
        self.start()


@pytest.fixture
def site(env: Environment, tmp_path: Path) -> Iterator[Site]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(Dashboard(env, b"s" * 32, tmp_path / "dashboard", url=url))
    made = Site(app, listener, url)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def page(browser: "Browser", site: Site, env: Environment) -> Iterator["Page"]:
    """Signed in as the admin ann, by keyboard alone; fails on errors in the console."""
    users.add(env, "ann", Role.ADMIN, password=PASSWORD)
    context = browser.new_context(
        base_url=site.url, timezone_id="Asia/Tokyo", locale="en-GB",
        viewport={"width": 1280, "height": 800},
    )  # fmt: skip
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda said: problems.append(said.text) if "Content Security" in said.text else None,
    )
    opened.goto("/sign-in?next=/account")
    opened.locator("input:focus").wait_for()  # Chromium gives a new page its focus after its load
    opened.keyboard.type("ann")
    opened.keyboard.press("Tab")
    opened.keyboard.type(PASSWORD)
    opened.keyboard.press("Enter")
    opened.wait_for_url(f"{site.url}/account")
    yield opened
    context.close()
    assert problems == []


def test_times_are_the_readers_with_utc_on_hover(page: "Page") -> None:
    time = page.locator("time").first
    utc = time.get_attribute("title")
    assert utc
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", utc)
    hour = (int(utc[11:13]) + 9) % 24
    assert f"{hour:02}:{utc[14:16]}" in time.inner_text()


def test_light_and_dark_are_kept_over_pages(page: "Page") -> None:
    def ground() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    page.click("[data-theme-toggle]")
    dark = ground()
    assert dark != light
    page.goto("/audit")
    assert ground() == dark


def test_what_a_page_asks_by_itself_says_so(page: "Page") -> None:
    with page.expect_request("**/api/v1/health") as asked:
        page.goto("/audit")
    assert asked.value.headers["x-unattended"] == "1"


def test_a_stopped_server_is_noticed_and_so_is_its_return(page: "Page", site: Site) -> None:
    bar = page.locator("#connection")
    site.stop()
    bar.wait_for(state="visible", timeout=40_000)
    assert "does not answer" in bar.inner_text()
    site.restart()
    bar.wait_for(state="hidden", timeout=40_000)


def test_a_dangerous_act_asks_first(page: "Page") -> None:
    page.get_by_role("button", name="Sign out everywhere").click()
    dialog = page.get_by_role("dialog")
    assert "here too" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert page.url.endswith("/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Go ahead").click()
    page.wait_for_url("**/sign-in")
