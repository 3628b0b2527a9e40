"""The same work for one thing after the other, of which one that fails stops no other."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from adloom.errors import AdloomError, HandedBackError
from tasks import stopping

Item = TypeVar("Item")
Result = TypeVar("Result")


async def one_by_one(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[Result]],
    warn: Callable[[str], object],
) -> tuple[Result, ...]:
    """The work's results in order; `warn` is told of each that failed.

    Raises, after the last item, the error of the last that failed. Told to stop, it raises
    HandedBackError and begins nothing more.
    """
    results: list[Result] = []
    failed: AdloomError | None = None
    for item in items:
        stopping.current().check()
        try:
            results.append(await work(item))
        except HandedBackError:
            raise
        except AdloomError as error:
            warn(f"{item} failed; the others are gone on with: {error}")
            failed = error
    if failed is not None:
        raise failed
    return tuple(results)
