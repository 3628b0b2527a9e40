"""What every object store must do; each store's test class inherits it and says how to open one."""

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from adloom.errors import ObjectExistsError, ObjectMissingError, StorageError
from storage import ObjectStore

UNUSABLE_KEYS = [
    "",
    "/absolute",
    "folder/",
    "a//b",
    "../outside",
    "a/../../outside",
    "a/./b",
    ".hidden/x",
    "a\\b",
    "a\x00b",
    "a b",
    "é",
    "x" * 201,
    "/".join(["long"] * 200),
]


class StoreContract:
    def test_an_object_comes_back_as_it_was_put(self, store: ObjectStore) -> None:
        data = bytes(range(256)) * 5000
        done = store.put("default/renders/ab12", data, content_type="image/png")
        assert done.created
        assert (done.sha256, done.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert store.get("default/renders/ab12") == data

    def test_head_tells_size_hash_and_time(self, store: ObjectStore) -> None:
        store.put("w/photos/1", b"light", content_type="image/jpeg")
        info = store.head("w/photos/1")
        assert info is not None
        assert (info.key, info.bytes) == ("w/photos/1", 5)
        assert info.sha256 == hashlib.sha256(b"light").hexdigest()
        assert abs(datetime.now(UTC) - info.modified) < timedelta(minutes=2)
        assert store.exists("w/photos/1")

    def test_the_same_content_again_is_adopted(self, store: ObjectStore) -> None:
        store.put("w/k", b"same", content_type="text/plain")
        assert not store.put("w/k", b"same", content_type="text/plain").created

    def test_other_content_is_refused_and_changes_nothing(self, store: ObjectStore) -> None:
        store.put("w/k", b"first", content_type="text/plain")
        with pytest.raises(ObjectExistsError) as caught:
            store.put("w/k", b"other", content_type="text/plain")
        assert store.location("w/k") in str(caught.value)
        assert store.get("w/k") == b"first"

    def test_of_sixteen_writers_of_one_content_exactly_one_creates(
        self, store: ObjectStore
    ) -> None:
        data = b"x" * 200_000
        with ThreadPoolExecutor(16) as pool:
            done = list(
                pool.map(lambda _: store.put("w/race", data, content_type="t/p"), range(16))
            )
        assert Counter(d.created for d in done) == {True: 1, False: 15}

    def test_of_sixteen_writers_of_other_content_one_wins_and_the_rest_are_told(
        self, store: ObjectStore
    ) -> None:
        def write(n: int) -> bytes | None:
            data = str(n).encode() * 50_000
            try:
                return data if store.put("w/race", data, content_type="t/p").created else b""
            except ObjectExistsError:
                return None

        with ThreadPoolExecutor(16) as pool:
            winners = [data for data in pool.map(write, range(16)) if data is not None]
        assert winners == [store.get("w/race")]

    def test_a_missing_object_is_an_error_to_get_and_none_to_head(self, store: ObjectStore) -> None:
        with pytest.raises(ObjectMissingError, match="does not exist"):
            store.get("w/nothing")
        assert store.head("w/nothing") is None
        assert not store.exists("w/nothing")

    def test_a_deleted_object_is_gone_and_its_key_is_free_again(self, store: ObjectStore) -> None:
        store.put("w/k", b"first", content_type="text/plain")
        store.delete("w/k")
        store.delete("w/k")
        assert not store.exists("w/k")
        assert store.put("w/k", b"other", content_type="text/plain").created

    def test_list_gives_exactly_the_keys_that_start_with_the_prefix(
        self, store: ObjectStore
    ) -> None:
        keys = ["w/masks/1", "w/renders/a1", "w/renders/a2", "w/renders/b1", "w2/renders/a1"]
        for key in reversed(keys):
            store.put(key, key.encode(), content_type="text/plain")
        assert [(i.key, i.bytes) for i in store.list("")] == [(k, len(k)) for k in keys]
        assert [i.key for i in store.list("w/")] == keys[:4]
        assert [i.key for i in store.list("w/renders/")] == keys[1:4]
        assert [i.key for i in store.list("w/renders/a")] == keys[1:3]
        assert [i.key for i in store.list("w")] == keys
        assert list(store.list("nothing/")) == []
        assert all(i.modified.tzinfo is not None for i in store.list(""))

    def test_check_passes_and_leaves_nothing(self, store: ObjectStore) -> None:
        store.check()
        assert list(store.list("")) == []

    @pytest.mark.parametrize("key", UNUSABLE_KEYS)
    def test_keys_that_could_escape_or_change_are_refused(
        self, store: ObjectStore, key: str
    ) -> None:
        for attempt in (
            lambda: store.put(key, b"x", content_type="text/plain"),
            lambda: store.get(key),
            lambda: store.head(key),
            lambda: store.delete(key),
        ):
            with pytest.raises(StorageError, match="cannot be an object's key"):
                attempt()

    def test_prefixes_that_could_escape_are_refused(self, store: ObjectStore) -> None:
        with pytest.raises(StorageError, match="cannot be the start"):
            list(store.list("../"))
