"""Masks that users give: every version is kept, and what shows the photo is made again, no more."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adloom.campaign import Refresh
from adloom.cutouts import MaskOrigin
from adloom.errors import InvalidInputError, MaskError, NotFoundError
from adloom.keys import mask_key, photo_key
from db.queries import cutouts
from storage.local import LocalStore
from tasks import masks
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign, record, sha

SPEC = replace(campaign(), refresh=Refresh.CHANGED)


def png(left: int, right: int) -> bytes:
    """A mask of the world's photos (640 × 480): product between two columns."""
    plane = np.zeros((480, 640), np.uint8)
    plane[60:420, left:right] = 255
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "PNG")
    return buffer.getvalue()


def photo_sha(name: str) -> str:
    return sha(f"/photos/{name}.png")


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    """An environment over the world, whose three photos are in the store."""
    store = LocalStore(tmp_path / "objects")
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480), (200, 30, 30)).save(buffer, "PNG")
    for name in ("p0", "p1", "p2"):
        store.put(photo_key(world.slug, photo_sha(name)), buffer.getvalue(), content_type="x")
    rendering = Rendering(tmp_path)
    return Environment(world.database, store, world.slug, world.ws, rendering, "tests")


def test_a_new_mask_renders_again_exactly_what_shows_its_photo(
    world: World, env: Environment
) -> None:
    assert world.render_all(world.run(SPEC)) == 12
    assert world.planned(SPEC) == []
    masks.set_mask_file(env, "shop", "p1", _file(env, png(100, 300)))
    due = world.planned(SPEC)
    assert {(world.names()[i.slot.product_id], i.slot.scene_slug) for i in due} == {
        ("p1", "beach"),
        ("p1", "desk"),
    }
    assert world.render_all(world.run(SPEC)) == 4
    assert world.planned(SPEC) == []


def test_going_back_to_the_extracted_mask_renders_nothing_new(
    world: World, env: Environment
) -> None:
    world.render_all(world.run(SPEC))
    masks.set_mask(env, photo_sha("p0"), png(100, 300))
    assert world.render_all(world.run(SPEC)) == 4
    assert masks.withdraw(env, photo_sha("p0"))
    assert world.render_all(world.run(SPEC)) == 0  # the first four are there still


def test_every_version_is_kept_and_any_can_be_gone_back_to(env: Environment) -> None:
    photo = photo_sha("p0")
    first = masks.set_mask(env, photo, png(100, 300), given_by="ann", note="handle was cut")
    second = masks.set_mask(env, photo, png(100, 350), given_by="bob")
    again = masks.set_mask(env, photo, png(100, 350), given_by="cyd")
    assert (first.number, second.number, again.number) == (1, 2, 2)
    back = masks.revert(env, photo, 1, given_by="ann")
    assert (back.number, back.note) == (3, "version 1 again")
    assert back.cutout.mask_sha256 == first.cutout.mask_sha256
    assert (back.cutout.origin, back.cutout.confidence) == (MaskOrigin.MANUAL, 1.0)
    assert masks.withdraw(env, photo)
    assert not masks.withdraw(env, photo)
    after = masks.set_mask(env, photo, png(10, 350))
    shown = [(v.number, v.given_by, v.is_current) for v in masks.history(env, photo)]
    assert shown == [(1, "ann", False), (2, "bob", False), (3, "ann", False), (4, "", True)]
    assert [v.withdrawn_at is None for v in masks.history(env, photo)] == [False] * 3 + [True]
    assert env.store.exists(mask_key(env.workspace, after.cutout.mask_sha256))
    with pytest.raises(NotFoundError, match="has no manual mask 9"):
        masks.revert(env, photo, 9)


def test_after_a_withdrawal_the_extracted_mask_is_current_and_a_new_extractor_is_asked(
    env: Environment,
) -> None:
    photo = photo_sha("p0")
    masks.set_mask(env, photo, png(100, 300))
    with env.database.transaction() as tx:
        todo = cutouts.photos_without_cutout(tx, env.workspace_id, "u2netp-2")
    assert photo not in {p.sha256 for p in todo}
    masks.withdraw(env, photo)
    with env.database.transaction() as tx:
        current = cutouts.current(tx, env.workspace_id, photo)
        todo = cutouts.photos_without_cutout(tx, env.workspace_id, "u2netp-2")
    assert current is not None
    assert current.origin is MaskOrigin.EXTRACTED
    assert photo in {p.sha256 for p in todo}


def test_a_folder_of_masks_is_imported_and_what_is_bad_is_named(
    env: Environment, tmp_path: Path
) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    (folder / "p0.png").write_bytes(png(100, 300))
    (folder / f"{photo_sha('p1')}.png").write_bytes(png(50, 300))
    (folder / "p2.png").write_bytes(b"no image")
    (folder / "p2@additional.png").write_bytes(png(50, 300))
    (folder / "p9.png").write_bytes(png(50, 300))
    (folder / f"{'0' * 64}.png").write_bytes(png(50, 300))
    (folder / "notes.txt").write_text("not a mask")
    first = masks.import_masks(env, "shop", folder, given_by="ann")
    assert (first.new, first.unchanged) == (2, 0)
    assert {r.file.removesuffix(".png"): r.detail for r in first.refused}.keys() == {
        "p2", "p2@additional", "p9", "0" * 64,
    }  # fmt: skip
    assert any("p9" in r.detail for r in first.refused)
    again = masks.import_masks(env, "shop", folder)
    assert (again.new, again.unchanged, len(again.refused)) == (0, 2, 4)
    with pytest.raises(InvalidInputError, match="no folder"):
        masks.import_masks(env, "shop", folder / "p0.png")
    with pytest.raises(NotFoundError):
        masks.import_masks(env, "shp", folder)


def test_a_mask_is_given_to_a_product_whose_id_holds_an_at(
    world: World, env: Environment, tmp_path: Path
) -> None:
    world.sync([record("mug@home")])
    world.fetch_photos(lambda p: "/photos/p0.png" if "@" in p.location else p.location)
    folder = tmp_path / "masks"
    folder.mkdir()
    (folder / "mug@home.png").write_bytes(png(100, 300))
    assert masks.import_masks(env, "shop", folder).new == 1
    (folder / "mug@home.png").rename(folder / "mug@home@main.png")
    again = masks.import_masks(env, "shop", folder)
    assert (again.new, again.unchanged) == (0, 1)


def test_a_mask_of_another_shape_is_refused(env: Environment) -> None:
    buffer = io.BytesIO()
    Image.new("L", (640, 100), 255).save(buffer, "PNG")
    with pytest.raises(MaskError, match="the photo 640×480"):
        masks.set_mask(env, photo_sha("p0"), buffer.getvalue())
    assert masks.history(env, photo_sha("p0")) == ()


def _file(env: Environment, content: bytes) -> Path:
    path = env.rendering.weights_root / "mask.png"
    path.write_bytes(content)
    return path
