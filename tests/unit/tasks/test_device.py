"""One batch at a time has the device; who is told to stop gives up its turn."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from adloom.errors import HandedBackError
from tasks.device import Device
from tasks.stopping import Stop, StopReason, current, heeded


def test_the_next_batch_gets_the_device_when_the_one_before_has_nothing_left_for_it() -> None:
    device, order = Device(), list[str]()
    with device.held(Stop()) as first, ThreadPoolExecutor(1) as pool:

        def second() -> None:
            with device.held(Stop()) as turn:
                turn.begins()
                order.append("second renders")

        waiting = pool.submit(second)
        first.begins()
        time.sleep(0.3)
        order.append("first has rendered")
        first.made(0.3)
        first.let_go()
        waiting.result(10)
        order.append("first is finished")
    assert order == ["first has rendered", "second renders", "first is finished"]
    assert (device.use.batches, device.use.renders, device.use.busy_s) == (2, 1, 0.3)
    [gap] = device.use.gaps_s
    assert gap < 5.0


def test_a_wait_for_work_is_no_gap() -> None:
    device = Device()
    for _ in range(2):
        with device.held(Stop()) as turn:
            turn.begins()
    assert not device.use.gaps_s


def test_a_batch_that_holds_the_device_and_makes_nothing_is_silent() -> None:
    now = 100.0
    device = Device(clock=lambda: now)
    assert device.silent_s == 0.0
    with device.held(Stop()) as turn:
        now += 3
        assert device.silent_s == 3.0
        turn.begins()
        now += 5
        assert device.silent_s == 5.0
        turn.made(5.0)
        assert device.silent_s == 0.0
        now += 7
        turn.let_go()
        assert device.silent_s == 0.0
        turn.begins()  # after all
        now += 2
        assert device.silent_s == 2.0
    now += 900
    assert device.silent_s == 0.0


def test_a_batch_that_waits_is_handed_back_however_it_is_asked() -> None:
    device = Device()
    stop = Stop()
    with device.held(Stop()), ThreadPoolExecutor(1) as pool:

        def waits() -> None:
            with device.held(stop):
                pytest.fail("it was told to stop")

        waiting = pool.submit(waits)
        stop.request(StopReason.DRAINING, gently=True)
        with pytest.raises(HandedBackError, match="its worker stops"):
            waiting.result(10)
    with device.held(Stop()):
        pass


def test_asked_gently_what_renders_goes_on() -> None:
    stop = Stop()
    stop.check_begun()
    stop.request(StopReason.DRAINING, gently=True)
    stop.check_begun()
    stop.request(StopReason.CANCELLED, gently=False)
    with pytest.raises(HandedBackError, match="its worker stops"):
        stop.check_begun()


def test_threads_of_a_flow_heed_the_flow_s_own_request() -> None:
    stop = Stop()

    async def flow() -> Stop:
        return await asyncio.to_thread(current)

    with heeded(stop):
        assert asyncio.run(flow()) is stop
    assert current() is not stop
