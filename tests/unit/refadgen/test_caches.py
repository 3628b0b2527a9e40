"""What is kept is bounded by bytes."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.refadgen.caches import ByteCache


@dataclass(frozen=True)
class Value:
    nbytes: int


def making(nbytes: int) -> Callable[[], Value]:
    return lambda: Value(nbytes)


def refused() -> Value:
    pytest.fail("it was kept, and is made again")


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: ByteCache[Value] = ByteCache(100)
    for key in ("a", "b"):
        cache.get_or_make(key, making(40))
    cache.get_or_make("a", refused)
    cache.get_or_make("c", making(30))
    assert ["a" in cache, "b" in cache, "c" in cache] == [True, False, True]
    assert (cache.held_bytes, cache.evicted, cache.hits, cache.misses) == (70, 1, 1, 3)


def test_a_value_beyond_the_bound_is_handed_out_and_displaces_nothing() -> None:
    cache: ByteCache[Value] = ByteCache(100)
    cache.get_or_make("small", making(60))
    assert cache.get_or_make("large", making(101)) == Value(101)
    assert "large" not in cache
    assert "small" in cache
    assert (cache.held_bytes, cache.too_large) == (60, 1)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 60)), max_size=40))
def test_no_more_than_the_bound_is_ever_held(asked: list[tuple[str, int]]) -> None:
    cache: ByteCache[Value] = ByteCache(100)
    for key, nbytes in asked:
        cache.get_or_make(key, making(nbytes))
        kept = [cache.get_or_make(k, refused).nbytes for k in "abcdef" if k in cache]
        assert cache.held_bytes == sum(kept) <= 100
    cache.clear()
    assert (len(cache), cache.held_bytes) == (0, 0)
