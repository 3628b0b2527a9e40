"""Work done ahead of who asks for it."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def ahead(
    executor: Executor, work: Callable[[Thing], Result], things: Iterable[Thing], count: int
) -> Generator[tuple[Thing, Result]]:
    """Each thing with what `work` makes of it, in order; up to `count` more are in the making.

    What `work` raises is raised when its thing's turn has come; then nothing more is begun.
    """
    waiting: deque[tuple[Thing, Future[Result]]] = deque()
    try:
        for thing in things:
            waiting.append((thing, executor.submit(work, thing)))
            if len(waiting) > count:
                first, made = waiting.popleft()
                yield first, made.result()
        while waiting:
            first, made = waiting.popleft()
            yield first, made.result()
    finally:
        for _, made in waiting:
            made.cancel()
