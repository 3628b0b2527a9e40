"""Things are made ahead of who asks, in their order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.ahead import ahead


def test_the_next_things_are_made_meanwhile_in_order() -> None:
    begun: list[int] = []
    fourth = threading.Event()

    def work(n: int) -> int:
        begun.append(n)
        if n == 3:
            fourth.set()
        return n * n

    with ThreadPoolExecutor(1) as executor:
        results = ahead(executor, work, range(100), 3)
        assert next(results) == (0, 0)
        assert fourth.wait(10)
        assert begun == [0, 1, 2, 3], "more is begun than is allowed"
        results.close()
    with ThreadPoolExecutor(2) as executor:
        assert list(ahead(executor, work, range(9), 3)) == [(n, n * n) for n in range(9)]


def test_an_error_comes_in_its_turn_and_ends_it() -> None:
    begun: list[int] = []

    def work(n: int) -> int:
        begun.append(n)
        return 1 // (2 - n)

    with ThreadPoolExecutor(1) as executor:
        results = ahead(executor, work, range(100), 2)
        assert [next(results), next(results)] == [(0, 0), (1, 1)]
        with pytest.raises(ZeroDivisionError):
            next(results)
    assert len(begun) <= 5
