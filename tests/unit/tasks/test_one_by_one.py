"""One that fails stops no other; who is told to stop begins nothing more."""

import asyncio

import pytest

from adloom.errors import FeedError, HandedBackError
from tasks.one_by_one import one_by_one
from tasks.stopping import Stop, StopReason, heeded


def test_one_that_fails_stops_no_other_and_is_told_at_the_end() -> None:
    done, warned = list[int](), list[str]()

    async def work(item: int) -> int:
        if item == 2:
            raise FeedError("the second")
        done.append(item)
        return 10 * item

    assert asyncio.run(one_by_one((1, 3), work, warned.append)) == (10, 30)
    with pytest.raises(FeedError, match="the second"):
        asyncio.run(one_by_one((1, 2, 3), work, warned.append))
    assert warned == ["2 failed; the others are gone on with: the second"]
    assert done == [1, 3, 1, 3]


@pytest.mark.parametrize("while_working", [False, True])
def test_told_to_stop_it_begins_nothing_more(while_working: bool) -> None:
    stop, begun = Stop(), list[int]()

    async def work(item: int) -> None:
        begun.append(item)
        stop.request(StopReason.DRAINING, gently=True)
        if while_working:
            stop.check()

    with heeded(stop), pytest.raises(HandedBackError, match="its worker stops"):
        asyncio.run(one_by_one((1, 2, 3), work, pytest.fail))
    assert begun == [1]
