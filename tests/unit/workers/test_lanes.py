"""What runs in a lane finds its surroundings, and nothing of who was there before."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest

from workers.lanes import Lane

client: ContextVar[str] = ContextVar("client")
mark: ContextVar[str] = ContextVar("mark", default="none")


@asynccontextmanager
async def surroundings() -> AsyncIterator[None]:
    client.set("connected")
    yield
    client.set("closed")


async def leaves_a_mark_and_a_task() -> tuple[str, str, asyncio.Task[None]]:
    found = client.get(), mark.get()
    mark.set("somebody was here")
    return (*found, asyncio.create_task(asyncio.sleep(60)))


def test_one_after_another_in_any_thread_each_with_a_context_of_its_own() -> None:
    lane = Lane(surroundings)
    made = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: made.append(lane.run(leaves_a_mark_and_a_task())))
        thread.start()
        thread.join()
    assert [(connected, marked) for connected, marked, _ in made] == [("connected", "none")] * 2
    assert all(task.cancelled() for _, _, task in made)
    lane.close()


def test_an_error_leaves_the_lane_usable() -> None:
    async def fails() -> None:
        raise ValueError("as it may")

    lane = Lane(surroundings)
    with pytest.raises(ValueError, match="as it may"):
        lane.run(fails())
    assert lane.run(leaves_a_mark_and_a_task())[0] == "connected"
    lane.close()
