"""A browser, and the dashboard served to it. Skipped where chromium or playwright is absent."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from dashboard.app import create_app
from dashboard.context import Dashboard
from tasks.environment import Environment
from tests.integration.dashboard.conftest import Visitor

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@contextmanager
def served(env: Environment, folder: Path) -> Iterator[Dashboard]:
    """The dashboard at a free port of this machine, for as long as the block."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        dashboard = Dashboard(env, b"s" * 32, folder, url=url)
        config = uvicorn.Config(create_app(dashboard), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.started
        try:
            yield dashboard
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield found
        finally:
            found.close()


def signed_in(browser: Any, dashboard: Dashboard, visitor: Visitor, **more: Any) -> Any:
    """A page of a context of its own with the visitor's session; its errors are in `errors`."""
    context = browser.new_context(base_url=dashboard.url, **more)
    context.add_cookies([
        {"name": name, "value": value, "url": dashboard.url}
        for name, value in visitor.cookies.items()
    ])  # fmt: skip
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: page.errors.append(said.text) if _is_ours(said) else None)
    return page


def keep_picture(page: Any, name: str) -> None:
    """A screenshot in the folder `ADLOOM_SCREENSHOTS`, where that is set."""
    folder = os.environ.get("ADLOOM_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def violations(page: Any) -> list[str]:
    """What axe-core calls serious or worse on the page as it stands."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {v['help']}: {[node['html'][:120] for node in v['nodes'][:3]]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def _is_ours(said: Any) -> bool:
    """Answers that a test provokes (a 409, no network) are the browser's news, not an error."""
    return said.type == "error" and "Failed to load resource" not in said.text
