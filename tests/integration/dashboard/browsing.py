"""A real browser (Debian's Chromium, driven by Playwright) at a real server.

With ADLOOM_SCREENSHOTS=1 screenshots go to `build/screenshots`, for people to look at.
"""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"


def require_browser() -> None:
    """Skips, saying why, where there is none."""
    pytest.importorskip("playwright.sync_api", reason="browser tests need the package playwright")
    if CHROMIUM is None:
        pytest.skip("browser tests need chromium (apt-get install chromium)")


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium; skips, saying why, where there is none."""
    require_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@contextmanager
def served(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    """Serves for as long as the block; streams are broken off after a second."""
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    with running(config, listener):
        yield


@contextmanager
def running(config: uvicorn.Config, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


def keep_picture(page: Any, name: str) -> None:
    """A screenshot of the whole page, as it stands, where they are asked for."""
    if not os.environ.get("ADLOOM_SCREENSHOTS"):
        return
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def violations(page: Any) -> list[str]:
    """What axe-core calls serious or worse on the page as it stands."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]}"
        for v in axe.run(page).response["violations"]
        if v["impact"] in ("serious", "critical")
    ]
