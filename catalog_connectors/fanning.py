"""Work on many addresses at once: so much in all, so much at each host, and none kept waiting
for a host that is slow or has asked to be left alone."""

import heapq
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
Leave = Callable[[], None]
"""What a piece of work calls once it needs its host no more, though it goes on."""

_LONGEST_NAP_S = 0.5


@dataclass(frozen=True, slots=True)
class Fan:
    """How many pieces of work run at once, and how many of them at one host.

    `lookahead`: so many items are read ahead to find some for a host that is free. Items of no
    host ("") are bounded by `overall` alone.
    """

    overall: int = 48
    per_host: int = 12
    lookahead: int = 512


@dataclass(frozen=True, slots=True)
class Later(Generic[Item]):
    """What `work` returns for an item that it will be given again, in so many seconds. Until then
    the item takes no thread and no place at its host."""

    item: Item
    after_s: float


class Hosts:
    """What has been seen of each host: whether it asked to be left alone, whether it is given up.

    A host of which `give_up_after` pieces of work failed in a row is given up: a catalogue's
    100,000 photos at a dead host would else take days to fail. Any thread may use it.
    """

    def __init__(self, *, longest_pause_s: float = 20.0, give_up_after: int = 20) -> None:
        self._longest_pause_s = longest_pause_s
        self._give_up_after = give_up_after
        self._until: dict[str, float] = {}
        self._failed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def pause(self, host: str, seconds: float) -> None:
        """No new work at `host` for so long; longer than the longest pause is not waited for."""
        if seconds > self._longest_pause_s:
            return
        until = time.monotonic() + seconds
        with self._lock:
            self._until[host] = max(until, self._until.get(host, 0.0))

    def left_s(self, host: str) -> float:
        """How much of a host's pause is left; not above 0: it may be asked."""
        with self._lock:
            return self._until.get(host, 0.0) - time.monotonic()

    def failed(self, host: str) -> None:
        with self._lock:
            self._failed[host] += 1

    def answered(self, host: str) -> None:
        """The host served something, if only to say that there is no such photo."""
        with self._lock:
            if self._failed[host] < self._give_up_after:
                self._failed[host] = 0

    def is_given_up(self, host: str) -> bool:
        with self._lock:
            return self._failed[host] >= self._give_up_after


def fan_out(
    items: Iterable[Item],
    work: Callable[[Item, Leave], Result | Later[Item]],
    host_of: Callable[[Item], str],
    fan: Fan,
    hosts: Hosts,
) -> Generator[Result]:
    """The results of `work` on each item, as they come; what is `Later` is worked on again. Its
    place at the host is free when `work` leaves it, at the latest when it ends.

    Items are read as there is room, and results wait for the caller: never more than
    `fan.overall` of them exist. What `work` raises ends it all, once what runs has ended.
    """
    fanned = _Fanning(work, host_of, fan, hosts)
    with ThreadPoolExecutor(fan.overall, thread_name_prefix="fan") as pool:
        yield from fanned.results(iter(items), pool)


class _Fanning(Generic[Item, Result]):
    def __init__(
        self,
        work: Callable[[Item, Leave], Result | Later[Item]],
        host_of: Callable[[Item], str],
        fan: Fan,
        hosts: Hosts,
    ) -> None:
        self._work = work
        self._host_of = host_of
        self._fan = fan
        self._hosts = hosts
        self._waiting: dict[str, deque[Item]] = {}
        self._waiting_count = 0  # with those of `_later`
        self._later: list[tuple[float, int, Item]] = []  # a heap by the time they are due
        self._numbers = itertools.count()
        self._running = 0
        self._busy: Counter[str] = Counter()
        # What threads say: a place at this host is free; or what this work came to.
        self._said: SimpleQueue[str | Future[Result | Later[Item]]] = SimpleQueue()

    def results(self, items: Iterator[Item], pool: ThreadPoolExecutor) -> Iterator[Result]:
        while True:
            self._take_due()
            self._read_ahead(items)
            self._start(pool)
            if not self._running and not self._waiting_count:
                return
            for said in self._heard():
                if isinstance(said, str):
                    self._busy[said] -= 1
                    continue
                self._running -= 1
                result = said.result()
                if isinstance(result, Later):
                    self._put_off(cast("Later[Item]", result))
                else:
                    yield result

    def _put_off(self, later: Later[Item]) -> None:
        due = time.monotonic() + later.after_s
        heapq.heappush(self._later, (due, next(self._numbers), later.item))
        self._waiting_count += 1

    def _take_due(self) -> None:
        """What was put off and is due comes first at its host."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, _, item = heapq.heappop(self._later)
            self._waiting.setdefault(self._host_of(item), deque()).appendleft(item)

    def _read_ahead(self, items: Iterator[Item]) -> None:
        while self._waiting_count < self._fan.lookahead:
            try:
                item = next(items)
            except StopIteration:
                return
            self._waiting.setdefault(self._host_of(item), deque()).append(item)
            self._waiting_count += 1

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Starts what may run now, one of each host in turn."""
        started = True
        while started:
            started = False
            for host in list(self._waiting):
                if self._running < self._fan.overall and self._is_free(host):
                    self._start_one(pool, host)
                    started = True

    def _is_free(self, host: str) -> bool:
        room = not host or self._busy[host] < self._fan.per_host
        return room and self._hosts.left_s(host) <= 0

    def _start_one(self, pool: ThreadPoolExecutor, host: str) -> None:
        queue = self._waiting[host]
        pool.submit(self._run, queue.popleft(), host).add_done_callback(self._said.put)
        self._running += 1
        self._busy[host] += 1
        self._waiting_count -= 1
        if not queue:
            del self._waiting[host]

    def _run(self, item: Item, host: str) -> Result | Later[Item]:
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._said.put(host)

        try:
            return self._work(item, leave)
        finally:
            leave()

    def _heard(self) -> list[str | Future[Result | Later[Item]]]:
        """What threads have said, if anything before something else may be started."""
        heard: list[str | Future[Result | Later[Item]]] = []
        try:
            heard.append(self._said.get(timeout=self._nap_s()))
            while True:
                heard.append(self._said.get_nowait())
        except Empty:
            return heard

    def _nap_s(self) -> float | None:
        """How long nothing new may be started, but for what makes room by ending; None: for ever.
        A pause can also be made meanwhile, so that it is never longer than _LONGEST_NAP_S."""
        if not self._waiting_count:
            return None
        pauses = [self._hosts.left_s(host) for host in self._waiting]
        pauses += [due - time.monotonic() for due, _, _ in self._later[:1]]
        ahead = [left for left in pauses if left > 0]
        return min(max(min(ahead, default=_LONGEST_NAP_S), 0.005), _LONGEST_NAP_S)
