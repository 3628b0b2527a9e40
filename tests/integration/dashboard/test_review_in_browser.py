"""Reviewing with the keyboard alone, in a real browser."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adloom.records import ReviewFilter
from adloom.states import Role
from dashboard.app import create_app
from dashboard.context import Dashboard
from tasks import reviewing
from tasks.environment import Environment
from tests.integration.dashboard.browsing import keep_picture, served, violations
from tests.integration.dashboard.conftest import Visitor
from tests.integration.dashboard.gallery import Gallery, decisions

TITLES = ["Mug", "Lamp", "Vase", "Bottle", "Bag & <i>strap</i>", "Candle"]
SHOWN = "#review [data-part=item]:not([hidden])"


@pytest.fixture
def gallery(env: Environment) -> Gallery:
    """Six products: 24 creatives that need review."""
    made = Gallery.open(env)
    made.add_products(TITLES)
    return made


@pytest.fixture
def opened(
    browser: Any,
    env: Environment,
    tmp_path: Path,
    visitor_as: Callable[[Role], Visitor],
) -> Iterator[Callable[..., Any]]:
    """Opens a path as somebody of a role; at the end no page may have had an error."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    contexts: list[Any] = []
    errors: list[str] = []

    def open_page(path: str, role: Role = Role.REVIEWER, **more: Any) -> Any:
        context = browser.new_context(base_url=url, **{**WIDE, **more})
        contexts.append(context)
        cookies = [{"name": c, "value": v, "url": url} for c, v in visitor_as(role).cookies.items()]
        context.add_cookies(cookies)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if _is_an_error(said) else None)
        page.goto(path)
        return page

    app = create_app(Dashboard(env, b"s" * 32, tmp_path / "dashboard", url=url))
    with served(app, listener):
        yield open_page
        for context in contexts:
            context.close()
    assert errors == []


WIDE = {"viewport": {"width": 1280, "height": 800}}


def _is_an_error(said: Any) -> bool:
    """What a test provokes (a 409, no network) is the browser's news and no error."""
    return said.type == "error" and "Failed to load resource" not in said.text


def eventually(holds: Callable[[], Any], within_s: float = 60) -> None:
    """Asked again and again here: a page with our policy evaluates no text by itself."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def shown(page: Any) -> str:
    return page.locator(SHOWN).get_attribute("data-creative")


def until_stored(page: Any) -> None:
    eventually(lambda: page.evaluate(
        "Object.keys(localStorage).every(key => !key.startsWith('adloom.outbox'))"
    ))  # fmt: skip


def until_other(page: Any, creative: str) -> None:
    eventually(lambda: page.evaluate(
        "document.querySelector('[data-part=item]').dataset.creative"
    ) != creative)  # fmt: skip


def test_twenty_items_are_decided_by_keys_alone(
    gallery: Gallery, opened: Callable[..., Any]
) -> None:
    run_id = gallery.run()
    page = opened("/review")
    seen: list[str] = []
    for n in range(20):
        creative = shown(page)
        seen.append(creative)
        if n == 3:
            keep_picture(page, "review")
        for key in ("a",) if n % 3 else ("r", "p"):
            page.keyboard.press(key)
        until_other(page, creative)
    log = page.evaluate("window.adloomKeys")
    until_stored(page)
    assert len(set(seen)) == 20
    assert len(log) <= 2 * 20
    span_s = (log[-1]["at"] - log[0]["at"]) / 1000
    print(json.dumps({"items": 20, "keystrokes": len(log), "seconds": span_s}))
    assert span_s < 60
    assert decisions(gallery, run_id) == {"approved": 13, "rejected": 7, "needs_review": 4}

    page.keyboard.press("u")
    assert shown(page) == seen[-1]
    until_stored(page)
    assert decisions(gallery, run_id)["needs_review"] == 5
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    assert shown(page) == seen[-1]
    page.keyboard.press("ArrowLeft")
    assert shown(page) == seen[-2]
    assert page.locator("[data-part=state]").inner_text()
    page.keyboard.press("?")
    assert page.locator("#keys[open]").is_visible()
    keep_picture(page, "review-keys")
    page.keyboard.press("Escape")


def test_pictures_are_compared_and_magnified_by_keys(
    gallery: Gallery, opened: Callable[..., Any]
) -> None:
    gallery.run()
    page = opened("/review")
    shown(page)
    for key, name in (("1", "photo"), ("2", "raw"), ("3", "finished"), ("0", "all")):
        page.keyboard.press(key)
        assert page.locator("[data-part=stage]").get_attribute("data-compared") == name
    for name in ("photo", "raw", "finished"):
        image = page.locator(f"figure[data-part={name}] img")
        image.evaluate("i => i.complete || new Promise((done) => { i.onload = done; })")
        assert image.evaluate("i => i.naturalWidth") > 1
    page.keyboard.press("z")
    assert page.locator("#zoom[open]").is_visible()
    page.keyboard.press("1")
    assert page.locator("#zoom [data-name]").inner_text() == "photo"
    page.keyboard.press("z")
    assert not page.locator("#zoom").is_visible()
    assert page.locator("[data-part=siblings] li").count() == 1  # the other format


def test_two_people_at_once_see_different_items(
    gallery: Gallery, opened: Callable[..., Any]
) -> None:
    gallery.run()
    first, second = opened("/review"), opened("/review", Role.OPERATOR)
    assert shown(first) != shown(second)
    held = shown(first)
    first.goto("/account")

    def is_free() -> bool:
        found = reviewing.next_items(gallery.env, "somebody", ReviewFilter(), count=60)
        return held in {str(item.view.creative_id) for item in found}

    eventually(is_free)


def test_what_is_decided_without_a_connection_is_pending_and_then_stored(
    gallery: Gallery, opened: Callable[..., Any]
) -> None:
    run_id = gallery.run()
    page = opened("/review")
    creative = shown(page)
    finished = page.locator("figure[data-part=finished] img")
    eventually(lambda: finished.evaluate("i => i.complete && i.naturalWidth > 0"))
    page.context.set_offline(True)
    page.keyboard.press("a")
    until_other(page, creative)
    pending = page.locator("[data-part=pending]")
    pending.wait_for(state="visible")
    assert "1 decision not stored yet" in pending.inner_text()
    assert decisions(gallery, run_id) == {"needs_review": 24}
    page.context.set_offline(False)
    pending.wait_for(state="hidden", timeout=20_000)
    assert decisions(gallery, run_id) == {"approved": 1, "needs_review": 23}


def test_an_image_that_changed_is_shown_again_with_a_word(
    gallery: Gallery, opened: Callable[..., Any]
) -> None:
    run_id = gallery.run()
    page = opened("/review")
    creative = shown(page)
    changed = gallery.repaint(int(creative), run_id)
    page.keyboard.press("a")
    page.locator("[data-part=changed]").wait_for(state="visible")
    assert "has changed" in page.locator("[data-part=changed]").inner_text()
    assert shown(page) == creative
    assert changed in page.locator("figure[data-part=finished] img").get_attribute("src")
    page.keyboard.press("a")
    until_other(page, creative)
    until_stored(page)
    assert decisions(gallery, run_id)["approved"] == 1


def test_many_are_rejected_together_after_a_question_and_undone(
    gallery: Gallery, opened: Callable[..., Any]
) -> None:
    run_id = gallery.run()
    page = opened("/review/grid")
    page.locator(".tile").nth(23).wait_for()
    eventually(lambda: page.evaluate(
        "[...document.querySelectorAll('.tile img')].every(i => i.complete && i.naturalWidth)"
    ))  # fmt: skip
    keep_picture(page, "review-grid")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert "2 chosen" in page.locator("[data-part=chosen]").inner_text()
    page.keyboard.press("x")
    page.keyboard.press("r")
    page.keyboard.press("o")
    question = page.locator("dialog[open]")
    assert "Reject 24 creatives as other?" in question.inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("[data-part=empty]").wait_for(state="visible")
    until_stored(page)
    assert decisions(gallery, run_id) == {"rejected": 24}
    page.keyboard.press("u")
    until_stored(page)
    assert decisions(gallery, run_id) == {"needs_review": 24}
    assert page.locator(".tile").count() == 24


def test_a_phone_shows_buttons_that_do_the_same(
    gallery: Gallery, opened: Callable[..., Any]
) -> None:
    run_id = gallery.run()
    page = opened("/review", viewport={"width": 390, "height": 844}, has_touch=True)
    creative = shown(page)
    keep_picture(page, "review-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("[data-act=reject]").tap()
    page.locator("#reasons button[data-key=o]").tap()
    until_other(page, creative)
    until_stored(page)
    assert decisions(gallery, run_id)["rejected"] == 1
    page.locator("[data-actions] [data-act=undo]").tap()
    eventually(lambda: shown(page) == creative)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_violation(
    gallery: Gallery, opened: Callable[..., Any], scheme: str
) -> None:
    run_id = gallery.run()
    page = opened("/review", Role.OPERATOR, color_scheme=scheme)
    creative = shown(page)
    keep_picture(page, f"review-{scheme}")
    assert violations(page) == []
    page.keyboard.press("r")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.goto("/review/grid?scene=desk")
    page.locator(".tile").nth(3).wait_for()
    assert violations(page) == []
    page.goto(f"/creatives/{creative}")
    keep_picture(page, f"creative-{scheme}")
    assert violations(page) == []
    page.goto(f"/creatives/{creative}/recall")
    assert violations(page) == []
    assert decisions(gallery, run_id) == {"needs_review": 24}
