"""A page that is open while Postgres, Prefect or the dashboard's own server goes and returns."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.acceptance.installation import Installation, new_installation
from tests.integration.dashboard.browsing import chromium

pytestmark = [pytest.mark.acceptance]
NOTICED_MS, RECOVERED_MS = 30_000, 30_000
SAID = {
    "postgres": "The database does not answer.",
    "prefect": "Prefect does not answer.",
    "dashboard": "The server does not answer.",
}


@pytest.fixture(scope="module")
def adloom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installed = new_installation(tmp_path_factory.mktemp("outages"), ADLOOM_DASHBOARD_PORT="0")
    try:
        yield installed
    finally:
        installed.call("down")


@pytest.fixture(scope="module")
def page(adloom: Installation) -> Iterator[Any]:
    """Signed in by the link that `up` prints, at the list of runs."""
    with chromium() as browser:
        up = adloom.ok("up")
        opened = browser.new_context(base_url=up["dashboard"]).new_page()
        opened.goto(up["sign_in"])
        opened.get_by_role("button", name="Go on").click()
        opened.get_by_role("heading", name="Runs").wait_for()
        yield opened


def process_of(adloom: Installation, service: str) -> psutil.Process:
    found = adloom.call("status", "--json").json["services"]
    return psutil.Process(next(s for s in found if s["name"].lower() == service)["pid"])


def end(process: psutil.Process) -> None:
    """As an administrator does who is in a hurry: Postgres breaks connections off at SIGINT."""
    is_postgres = "postgres" in process.name()
    process.send_signal(signal.SIGINT if is_postgres else signal.SIGTERM)
    process.wait(30)


@pytest.mark.parametrize(
    ("service", "path"),
    [("prefect", "/campaigns/new"), ("postgres", "/runs"), ("dashboard", "/runs")],
)
def test_an_open_page_says_what_is_gone_and_that_it_is_back(
    adloom: Installation, page: Any, service: str, path: str
) -> None:
    page.goto(path)
    bar = page.locator("#connection")
    assert bar.is_hidden()

    end(process_of(adloom, service))
    bar.get_by_text(SAID[service]).wait_for(timeout=NOTICED_MS)
    adloom.ok("up")

    bar.wait_for(state="hidden", timeout=RECOVERED_MS)
    page.get_by_role("link", name="Numbers").click()
    page.get_by_role("heading", name="Numbers", exact=True).wait_for()


def test_a_page_that_is_asked_for_meanwhile_comes_by_itself(
    adloom: Installation, page: Any
) -> None:
    end(process_of(adloom, "postgres"))
    page.goto("/catalogue")
    page.get_by_text("The database does not answer.").wait_for()
    adloom.ok("up")
    page.get_by_role("heading", name="Catalogue", exact=True).wait_for(timeout=RECOVERED_MS)
    assert page.get_by_text("The database does not answer.").count() == 0


def test_what_hangs_is_said_as_well(adloom: Installation, page: Any) -> None:
    """A machine that is cut off refuses nothing: it only does not answer."""
    page.goto("/campaigns/new")
    bar = page.locator("#connection")
    postgres = process_of(adloom, "postgres")
    stopped = [postgres, *postgres.children(recursive=True)]
    send(stopped, signal.SIGSTOP)
    try:
        bar.get_by_text("does not answer").wait_for(timeout=NOTICED_MS)
    finally:
        send(stopped, signal.SIGCONT)
    bar.wait_for(state="hidden", timeout=RECOVERED_MS)
    assert page.url.endswith("/campaigns/new")  # the page that was open is still the one


def send(processes: list[psutil.Process], sent: signal.Signals) -> None:
    for process in processes:
        os.kill(process.pid, sent)
