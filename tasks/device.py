"""The one device of this process: who renders holds it, who prepares does not.

A resident worker takes two batches at a time. While one holds the device the other loads its
photos and masks, so that the device goes from one to the next without waiting for the network.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.device_metrics import DeviceMetrics
from tasks.stopping import Stop

_KEPT_GAPS = 200
_LOOK_S = 0.2


@dataclass(slots=True)
class DeviceUse:
    """What the device did since the process began, for health pages and benchmarks.

    `gaps_s` are the last times that it waited between two batches while the second was ready.
    """

    since: float = field(default_factory=time.monotonic)
    busy_s: float = 0.0
    batches: int = 0
    renders: int = 0
    gaps_s: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_GAPS))

    @property
    def busy_share(self) -> float:
        return self.busy_s / max(1e-9, time.monotonic() - self.since)


class Device:
    """Held by one batch at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._turn = threading.Lock()
        self._clock = clock
        self._sign_at: float | None = None
        self._rendered_at: float | None = None
        self.use = DeviceUse()
        self.metrics = DeviceMetrics()

    @property
    def silent_s(self) -> float:
        """For how long the batch that holds the device has begun and made nothing; 0: none does."""
        sign_at = self._sign_at
        return 0.0 if sign_at is None else self._clock() - sign_at

    def note_sign(self) -> None:
        """The batch that holds the device is alive."""
        self._sign_at = self._clock()

    @contextmanager
    def held(self, stop: Stop) -> Iterator["DeviceHold"]:
        """The device, for the block or until it is let go. Raises HandedBackError when told to
        stop while it waits for its turn."""
        ready = time.monotonic()
        while not self._turn.acquire(timeout=_LOOK_S):
            stop.check()
        self.note_sign()
        hold = DeviceHold(self, self._turn, ready)
        try:
            stop.check()
            yield hold
        finally:
            hold.let_go()

    def note_start(self, ready: float) -> None:
        """Rendering of a batch begins, which had been ready to since `ready`."""
        if self._rendered_at is not None and ready <= self._rendered_at:
            gap_s = time.monotonic() - self._rendered_at
            self.use.gaps_s.append(gap_s)
            self.metrics.gap_seconds.observe(gap_s)

    def note_made(self, seconds: float) -> None:
        """One render took the device so long."""
        self.note_sign()
        self.use.busy_s += seconds
        self.use.renders += 1
        self.metrics.busy_seconds.inc(seconds)
        self.metrics.renders.inc()

    def note_rendered(self, begun: float | None) -> None:
        """A batch lets the device go; it began to render at `begun`, None if it had nothing to."""
        self._rendered_at, self._sign_at = time.monotonic(), None
        self.use.batches += 1
        if begun is not None:
            self.metrics.batch_seconds.observe(self._rendered_at - begun)


class DeviceHold:
    """A batch's turn on the device."""

    def __init__(self, device: Device, turn: threading.Lock, ready: float) -> None:
        self._device, self._turn, self._ready = device, turn, ready
        self._begun: float | None = None
        self._gone = False

    def begins(self) -> None:
        """A micro-batch is about to be rendered.

        A batch that let the device go and has to render after all, since its rows could not be
        written, waits for another turn.
        """
        if self._gone:
            self._turn.acquire()
            self._gone = False
        self._device.note_sign()
        if self._begun is None:
            self._begun = time.monotonic()
            self._device.note_start(self._ready)

    def made(self, seconds: float) -> None:
        """One render took the device so long."""
        self._device.note_made(seconds)

    def let_go(self) -> None:
        """The next batch may render: this one has nothing left for the device."""
        if not self._gone:
            self._gone = True
            self._device.note_rendered(self._begun)
            self._turn.release()


_device = Device()


def device() -> Device:
    """The device of this process."""
    return _device
