"""Work done behind the one who prepares it: a few pieces at once, their results in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def behind(
    work: Callable[[Item, Future[Result] | None], Result],
    items: Iterable[Item],
    *,
    at_once: int,
    name: str,
) -> Generator[Result]:
    """What `work` gives for each item, in their order, while the next items are made here.

    `work` runs in up to `at_once` threads called `name`. It is given the work on the item before
    while that may still go on: its `result()` waits for it, and raises what it raised. What making
    an item raises is raised after all that was made before is done.
    """
    broken: Exception | None = None
    stream = iter(items)
    with ThreadPoolExecutor(at_once, thread_name_prefix=name) as pool:
        going: deque[Future[Result]] = deque()
        while True:
            try:
                item = next(stream)
            except StopIteration:
                break
            except Exception as error:
                broken = error
                break
            if len(going) == at_once:
                yield going.popleft().result()
            going.append(pool.submit(work, item, going[-1] if going else None))
        while going:
            yield going.popleft().result()
    if broken is not None:
        raise broken
