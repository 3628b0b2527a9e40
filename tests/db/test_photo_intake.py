"""A source's photos, from an HTTP server into the store and the database."""

import io
import threading
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import text

from adloom.catalog import PhotoRef, PhotoRole, ProductRecord
from adloom.keys import photo_key
from catalog_connectors.fanning import Fan
from catalog_connectors.photos import PhotoLimits
from db.queries import catalog
from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tasks.photos import RECORDED_AT_ONCE, fetch_photos
from tests.db.world import World
from tests.unit.intake.conftest import Page, Site, encoded, site

__all__ = ["site"]

LIMITS = PhotoLimits(timeout_s=30)


def picture(shade: int) -> bytes:
    return encoded(Image.new("RGB", (96, 80), (shade, 40, 90)), "PNG")


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    with world.database.transaction() as tx:
        tx.execute(
            text("UPDATE product SET active = false WHERE workspace_id = :ws"), {"ws": world.ws}
        )
    return Environment(
        world.database, LocalStore(tmp_path), world.slug, world.ws, Rendering(tmp_path), "tests",
        allow_private_addresses=True,
    )  # fmt: skip


def product(name: str, *locations: str) -> ProductRecord:
    roles = (PhotoRole.MAIN, *(PhotoRole.ADDITIONAL for _ in locations[1:]))
    refs = tuple(
        PhotoRef(at, role, n) for n, (at, role) in enumerate(zip(locations, roles, strict=True))
    )
    return ProductRecord(name, name, "things", refs)


def test_every_photo_is_stored_or_has_a_reason_and_what_is_shared_is_fetched_once(
    world: World, env: Environment, site: Site
) -> None:
    frames = [Image.new("RGB", (96, 80), (n, 0, 0)) for n in (10, 250)]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    site.pages |= {
        "/shared.png": Page(picture(200), headers={"ETag": '"1"'}),
        "/own.png": Page(picture(100), headers={"ETag": '"1"'}),
        "/moving.gif": Page(moving.getvalue()),
        "/html.png": Page(b"<!doctype html>"),
        "/busy.png": Page(status=503),
    }
    world.sync([
        product("s", site.url + "/shared.png"),
        product("m", site.url + "/shared.png", site.url + "/own.png"),
        product("l", site.url + "/shared.png", site.url + "/moving.gif"),
        product("x", site.url + "/gone.png", site.url + "/html.png", site.url + "/busy.png"),
    ])  # fmt: skip
    report = fetch_photos(env, world.source_id, limits=LIMITS, fan=Fan(4, 4, 8))
    assert (report.new, report.refused, report.unchanged) == (3, 3, 0)
    asked = [path for path, _ in site.requests]
    assert asked.count("/shared.png") == 1
    with world.database.transaction() as tx:
        found = {p.external_id: p for p in catalog.products(tx, world.ws, source="shop")}
    assert len({found[n].photos[0].photo_sha256 for n in "sml"}) == 1
    assert {p.reason for p in found["x"].problems} == {"NOT_FOUND", "NOT_AN_IMAGE", "UNREACHABLE"}
    assert "first of 2 frames" in found["l"].photos[1].note
    for view in (found[n] for n in "sml"):
        for photo in view.photos:
            assert photo.photo_sha256
            assert env.store.exists(photo_key(world.slug, photo.photo_sha256))

    again = fetch_photos(env, world.source_id, limits=LIMITS, fan=Fan(4, 4, 8))
    assert (again.new, again.unchanged, again.refused) == (0, 4, 3)


def test_a_photo_stays_while_its_server_is_out_of_reach_and_goes_when_it_is_gone(
    world: World, env: Environment, site: Site
) -> None:
    world.sync([product("s", site.url + "/a.png")])
    site.pages["/a.png"] = Page(picture(7))
    fetch_photos(env, world.source_id, limits=LIMITS)

    def shown() -> tuple[str | None, tuple[str, ...]]:
        with world.database.transaction() as tx:
            view = catalog.product(tx, world.ws, "s")
        return view.photos[0].photo_sha256, tuple(p.reason for p in view.problems)

    before = shown()
    assert before[0]
    site.pages["/a.png"] = Page(status=503)
    assert fetch_photos(env, world.source_id, limits=LIMITS).refused == 1
    assert shown() == before
    del site.pages["/a.png"]
    fetch_photos(env, world.source_id, limits=LIMITS)
    assert shown() == (None, ("NOT_FOUND",))


def test_a_store_that_fails_ends_the_sync_and_loses_no_row(
    world: World, env: Environment, site: Site, tmp_path: Path
) -> None:
    site.pages["/a.png"] = Page(picture(9))
    world.sync([product("s", site.url + "/a.png")])
    (tmp_path / world.slug).write_text("a file in the way")
    with pytest.raises(Exception, match="in the way"):
        fetch_photos(env, world.source_id, limits=LIMITS)
    (tmp_path / world.slug).unlink()
    assert fetch_photos(env, world.source_id, limits=LIMITS).new == 1


@pytest.mark.parametrize("products", [1, RECORDED_AT_ONCE + 1], ids=["the last page", "a page"])
def test_rows_that_cannot_be_recorded_end_the_sync_and_the_next_records_them(
    world: World, env: Environment, site: Site, monkeypatch: pytest.MonkeyPatch, products: int
) -> None:
    names = [f"r{n}" for n in range(products)]
    for n, name in enumerate(names):
        site.pages[f"/{name}.png"] = Page(picture(n))
    world.sync([product(name, f"{site.url}/{name}.png") for name in names])

    def gone(*_: object) -> None:
        raise OSError("the database is gone")

    with monkeypatch.context() as broken:
        broken.setattr("tasks.photos.photos.link", gone)
        with pytest.raises(OSError, match="is gone"):
            fetch_photos(env, world.source_id, limits=LIMITS)
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("fan", "record-"))]
    assert fetch_photos(env, world.source_id, limits=LIMITS).new == products
