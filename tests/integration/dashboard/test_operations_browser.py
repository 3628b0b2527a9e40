"""The pages of operations in a browser: a run followed live, a mask painted, a campaign written."""

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI

from adloom.catalog import Price
from adloom.cutouts import Photo
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import encode
from adloom.keys import photo_key
from adloom.records import PhotoValidators
from adloom.states import Role, RunState
from dashboard.access.cookies import cookie_name
from dashboard.app import create_app
from dashboard.commands import starter
from dashboard.context import Dashboard
from dashboard.run_watch import RunWatch
from db.queries import campaigns, catalog, cutouts, photos, runs
from tasks import sign_in, users
from tasks.environment import Environment
from tests.db.world import World, campaign
from tests.integration.dashboard.browsing import served
from tests.unit.imaging.pictures import drawn_cutout

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DRAWN = drawn_cutout(1)


@dataclass
class Site:
    app: FastAPI
    url: str
    begun: list[list[str]]


@pytest.fixture
def world(env: Environment) -> World:
    folder = env.rendering.weights_root / "mini"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    made = World.open(env.database, env.workspace)
    made.add_products(3)
    return made


@pytest.fixture
def site(env: Environment, tmp_path: Path) -> Iterator[Site]:
    """A server with its watch."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    price = Price(Decimal("2.50"), "USD")
    app = create_app(
        Dashboard(env, b"s" * 32, tmp_path / "dashboard", url=url, gpu_hour_price=price)
    )
    begun: list[list[str]] = []
    app.dependency_overrides[starter] = lambda: lambda arguments: begun.append(arguments) or "log"
    watch = app.state.run_watch = RunWatch(env, per_hour=price)
    watch.start()
    try:
        with served(app, listener):
            yield Site(app, url, begun)
    finally:
        watch.stop()


@pytest.fixture
def page(browser: "Browser", site: Site, env: Environment) -> Iterator["Page"]:
    """An operator's, who is signed in; what a page logs as an error fails the test."""
    users.add(env, "olga", Role.OPERATOR, password=None)
    client = sign_in.Client("127.0.0.1", "tests")
    session = sign_in.by_link(env, users.create_link(env, "olga"), client)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([
        {"name": cookie_name(site.app.state.dashboard), "value": session.token, "url": site.url}
    ])  # fmt: skip
    shown = context.new_page()
    said: list[str] = []
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("console", lambda m: said.append(m.text) if "Content Security" in m.text else None)
    yield shown
    context.close()
    assert said == []


def test_a_run_is_followed_live(page: "Page", site: Site, world: World) -> None:
    run_id = world.run(campaign())
    page.goto(f"{site.url}/runs")
    row = page.locator(f'[data-run="{run_id}"]')
    row.get_by_text("0 / 12").wait_for()

    world.render_all(run_id)
    world.judge(run_id, rejects=lambda n: n < 3)
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.COMPLETE)

    row.get_by_text("12 / 12").wait_for()
    row.locator('[data-state="complete"]').wait_for()
    assert row.get_by_text("75.0 %").is_visible()


def test_a_runs_page_follows_it_to_its_end(page: "Page", site: Site, world: World) -> None:
    run_id = world.run(campaign())
    page.goto(f"{site.url}/runs/{run_id}")
    page.get_by_text("No batch was cut").wait_for()
    page.get_by_role("link", name="Cancel…").wait_for()
    page.get_by_text("The whole frozen specification").click()

    world.render_all(run_id, fails=lambda n: n == 2)
    world.judge(run_id, rejects=lambda n: n < 3)
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.COMPLETE)

    page.locator('.page-head [data-state="complete"]').wait_for()
    page.get_by_role("row", name="rejected").get_by_role("cell", name="3", exact=True).wait_for()
    page.get_by_role("heading", name="Why creatives were not approved").wait_for()
    page.get_by_role("heading", name="What failed").wait_for()
    page.get_by_text("2 batches: 2 done").wait_for()
    page.get_by_role("link", name="Retry failed…").wait_for()
    assert page.get_by_role("link", name="Cancel…").count() == 0
    assert page.get_by_label("Specification", exact=True).is_visible()


def test_the_first_run_is_told_of_where_there_was_none(
    page: "Page", site: Site, world: World
) -> None:
    page.goto(f"{site.url}/runs")
    page.get_by_text("Nothing has run yet").wait_for()
    run_id = world.run(campaign())
    page.get_by_role("link", name=f"Run {run_id} of spring has begun: show it").click()
    page.locator(f'[data-run="{run_id}"]').wait_for()
    assert page.get_by_text("Nothing has run yet").count() == 0


def test_a_list_that_is_filtered_announces_no_run_that_it_leaves_out(
    page: "Page", site: Site, world: World
) -> None:
    shown = world.run(campaign())
    world.run(campaign("autumn"))
    with page.expect_response("**/runs/live"):
        page.goto(f"{site.url}/runs?campaign=spring")
    world.render_all(shown)
    world.judge(shown)
    page.locator(f'[data-run="{shown}"]').get_by_text("12 / 12").wait_for()
    assert page.locator("#new-runs").count() == 0


def test_many_tabs_leave_the_server_reachable(page: "Page", site: Site, world: World) -> None:
    """A browser has six connections to a server; a stream of events holds one for good."""
    world.run(campaign())
    tabs = [page.context.new_page() for _ in range(7)]
    for tab in tabs:
        tab.goto(f"{site.url}/runs")
        set_visibility(tab, "hidden")
    page.goto(f"{site.url}/runs")
    page.get_by_role("heading", name="Runs").wait_for()
    for tab in tabs[1:]:
        tab.close()
    with tabs[0].expect_request("**/runs/live"):
        set_visibility(tabs[0], "visible")


def set_visibility(tab: "Page", state: str) -> None:
    """As the browser does where another tab is brought to the front, or this one again."""
    tab.evaluate(
        "state => { Object.defineProperty(document, 'visibilityState',"
        " { value: state, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        state,
    )


def test_what_failed_is_retried_by_keyboard(page: "Page", site: Site, world: World) -> None:
    run_id = world.run(campaign())
    world.render_all(run_id, fails=lambda n: n <= 2)
    world.judge(run_id)
    page.goto(f"{site.url}/runs/{run_id}/failures")
    box = page.get_by_role("checkbox").first
    box.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Retry the marked…").press("Enter")
    page.get_by_text("Opens 1 failed item ").wait_for()
    page.get_by_role("button", name="Retry failed items").press("Enter")
    page.get_by_text("A retry of 1 failed item has begun").wait_for()
    assert [arguments[:2] for arguments in site.begun] == [["retry", str(run_id)]]


def test_a_mask_is_painted_and_saved(
    page: "Page", site: Site, env: Environment, world: World
) -> None:
    number, photo = photographed(env, world)
    page.goto(f"{site.url}/catalogue/{number}/photos/{photo}")
    canvas = page.locator("canvas")
    page.get_by_role("button", name="Product", exact=True).wait_for()
    canvas.focus()
    page.keyboard.press("b")
    for key in ("]", "]", "Space", "ArrowRight", "Space"):
        page.keyboard.press(key)
    page.get_by_label("Note").first.fill("painted")
    page.get_by_role("button", name="Save this mask").click()
    page.get_by_role("dialog").get_by_role("button", name="Save the mask").click()
    page.get_by_role("cell", name="painted").wait_for()
    with env.database.transaction() as tx:
        (version,) = cutouts.manual_versions(tx, world.ws, photo)
    assert 0.0 < version.cutout.area_fraction < 0.5
    assert version.given_by == "olga"


def test_a_campaign_is_checked_as_it_is_typed(page: "Page", site: Site, world: World) -> None:
    page.goto(f"{site.url}/campaigns/new")
    text = page.get_by_label("Specification (YAML)")
    text.fill("campaign: autumn\nscenes: [beach, dsek]\nformats: ['1:1']\n")
    page.get_by_text("line 2, scenes[1]").wait_for()
    text.fill("campaign: autumn\nscenes: [beach, desk]\nformats: ['1:1']\n")
    page.get_by_text("Nothing is wrong with it.").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The campaign is stored.").wait_for()
    with world.database.transaction() as tx:
        assert campaigns.get(tx, world.ws, "autumn").spec.scenes == ("beach", "desk")


def photographed(env: Environment, world: World) -> tuple[int, str]:
    """The first product and its photo, whose picture is stored and has its real size."""
    number = next(n for n, name in sorted(world.names().items()) if name == "p0")
    content = encode(DRAWN.photo, ImageFormat.PNG)
    sha = hashlib.sha256(content).hexdigest()
    env.store.put(photo_key(env.workspace, sha), content, content_type="image/png")
    with env.database.transaction() as tx:
        height, width = DRAWN.mask.shape
        photos.upsert(tx, world.ws, [Photo(sha, width, height, len(content), "image/png")])
        view = catalog.product(tx, world.ws, "p0")
        photos.link(tx, [
            replace(view.photos[0], photo_sha256=sha, validators=PhotoValidators(size=len(content)))
        ])  # fmt: skip
    return number, sha
