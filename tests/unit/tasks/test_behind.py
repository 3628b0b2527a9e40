"""Work behind the one who prepares it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tasks.behind import behind


def test_results_come_in_order_and_no_more_than_asked_run_at_once() -> None:
    running, most = [0], [0]
    lock = threading.Lock()

    def work(n: int, _: Future[int] | None) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02 if n % 2 else 0.001)
        with lock:
            running[0] -= 1
        return n

    assert list(behind(work, range(20), at_once=3, name="w")) == list(range(20))
    assert most[0] == 3


def test_what_breaks_in_the_making_is_raised_once_all_before_it_is_done() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ValueError("the file ends here")

    done: list[int] = []
    with pytest.raises(ValueError, match="ends here"):
        done.extend(behind(lambda n, _: n, items(), at_once=2, name="w"))
    assert done == list(range(5))


def test_work_that_fails_is_raised_to_the_next_which_waits_for_it_and_to_the_caller() -> None:
    begun: list[int] = []
    finished: list[int] = []

    def work(n: int, before: Future[int] | None) -> int:
        begun.append(n)
        if before is not None:
            before.result()
        if n == 2:
            raise OSError("no room")
        finished.append(n)
        return n

    got: list[int] = []
    with pytest.raises(OSError, match="no room"):
        got.extend(behind(work, range(100), at_once=2, name="w"))
    assert finished == [0, 1]
    assert max(begun) <= 3
    assert not [t for t in threading.enumerate() if t.name.startswith("w_")]
