"""Objects in a local folder."""

import os
import time
from pathlib import Path

import pytest

from adloom.errors import StorageDeniedError, StorageError
from storage.local import LocalStore
from tests.unit.storage.store_contract import StoreContract


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


class TestLocalStore(StoreContract):
    pass


def test_an_adopted_object_is_young_again(store: LocalStore, root: Path) -> None:
    store.put("w/k", b"same", content_type="text/plain")
    os.utime(root / "w" / "k", (time.time() - 90_000,) * 2)
    store.put("w/k", b"same", content_type="text/plain")
    info = store.head("w/k")
    assert info is not None
    assert info.modified.timestamp() > time.time() - 60


def test_nothing_unfinished_is_left_or_listed(store: LocalStore, root: Path) -> None:
    store.put("w/k", b"first", content_type="text/plain")
    with pytest.raises(StorageError):
        store.put("w/k", b"other", content_type="text/plain")
    assert [p.relative_to(root) for p in root.rglob("*") if p.is_file()] == [Path("w/k")]


def test_check_clears_what_a_crash_left_a_day_ago_and_nothing_newer(
    store: LocalStore, root: Path
) -> None:
    store.put("w/k", b"kept", content_type="text/plain")
    old, new = root / ".unfinished" / "old", root / ".unfinished" / "new"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    store.check()
    assert not old.exists()
    assert new.exists()
    assert store.get("w/k") == b"kept"


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("not a folder")
    with pytest.raises(StorageError, match="in the way") as caught:
        LocalStore(tmp_path / "objects").check()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs /sys, which nobody can write")
def test_a_folder_that_cannot_be_written_is_denied() -> None:
    with pytest.raises(StorageDeniedError, match="ADLOOM_STORAGE_URL") as caught:
        LocalStore(Path("/sys/adloom-objects")).check()
    assert "/sys/adloom-objects" in str(caught.value)
