"""Clean-up removes old objects that no row points to, and nothing that is about to get its row."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adloom.cutouts import Photo
from adloom.keys import photo_key
from db.queries import photos
from storage.local import LocalStore
from storage.protocol import ObjectInfo
from tasks.environment import Environment, Rendering
from tasks.gc import GcReport, collect
from tests.db.world import World, sha

DAYS = 24 * 3600
NAMES = ("one", "two", "three")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def env(world: World, root: Path) -> Environment:
    """Three objects of two days, that no row points to, and one of now."""
    store = LocalStore(root)
    for name in (*NAMES, "new"):
        store.put(key_of(world, name), name.encode(), content_type="image/png")
    for name in NAMES:
        os.utime(root / key_of(world, name), (time.time() - 2 * DAYS,) * 2)
    rendering = Rendering(weights_root=root)
    return Environment(world.database, store, world.slug, world.ws, rendering, "me")


def key_of(world: World, name: str) -> str:
    return photo_key(world.slug, sha(name))


def kept(world: World, env: Environment) -> set[str]:
    return {n for n in (*NAMES, "new") if env.store.exists(key_of(world, n))}


def add_row(world: World, name: str) -> None:
    with world.database.transaction() as tx:
        photos.upsert(tx, world.ws, [Photo(sha(name), 10, 10, 3, "image/png")])


def test_old_objects_without_a_row_go_and_young_ones_stay(world: World, env: Environment) -> None:
    add_row(world, "one")
    dry = collect(env, dry_run=True)
    assert (dry.removed, kept(world, env)) == (2, {*NAMES, "new"})
    assert collect(env) == GcReport(seen=4, kept_young=1, removed=2, bytes=len("twothree"))
    assert kept(world, env) == {"one", "new"}


class Interrupted(LocalStore):
    """A folder in which another process does `something` at a certain moment of a clean-up."""

    def __init__(
        self,
        root: Path,
        something: Callable[[], object],
        *,
        once_listed: bool = False,
        before_deleting: str = "",
    ) -> None:
        super().__init__(root)
        self._something = something
        self._once_listed = once_listed
        self._before_deleting = before_deleting

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        yield from super().list(prefix)
        if self._once_listed:
            self._something()

    def head(self, key: str) -> ObjectInfo | None:
        found = super().head(key)
        if key == self._before_deleting:
            self._something()
        return found


def test_what_is_adopted_after_it_was_listed_stays(
    world: World, env: Environment, root: Path
) -> None:
    def adopt() -> None:
        done = env.store.put(key_of(world, "two"), b"two", content_type="image/png")
        assert not done.created

    store = Interrupted(root, adopt, once_listed=True)
    done = collect(replace(env, store=store))
    assert (done.removed, done.kept_young, done.used_meanwhile) == (2, 2, 0)
    assert kept(world, env) == {"two", "new"}


def test_what_gets_its_row_just_before_it_would_be_deleted_stays(
    world: World, env: Environment, root: Path
) -> None:
    store = Interrupted(
        root, lambda: add_row(world, "three"), before_deleting=key_of(world, "three")
    )
    done = collect(replace(env, store=store))
    assert (done.removed, done.kept_young, done.used_meanwhile) == (2, 1, 1)
    assert kept(world, env) == {"three", "new"}


def test_an_object_that_another_clean_up_removed_meanwhile_is_no_error(
    world: World, env: Environment, root: Path
) -> None:
    gone = key_of(world, "one")
    store = Interrupted(root, lambda: env.store.delete(gone), once_listed=True)
    done = collect(replace(env, store=store))
    assert (done.removed, done.kept_young, done.gone_meanwhile) == (2, 1, 1)
    assert done.bytes == len("twothree")
    assert kept(world, env) == {"new"}
