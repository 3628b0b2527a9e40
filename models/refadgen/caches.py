"""What is computed once and kept: bounded by bytes, so that no run outgrows its device."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

MB = 2**20


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Kept = TypeVar("Kept", bound=Sized)


class ByteCache(Generic[Kept]):
    """Values by key, of `limit_bytes` together at most; what was used longest ago goes first.

    A value that alone exceeds the limit is handed out and not kept. `held_bytes` are kept now;
    `hits`, `misses`, `evicted` and `too_large` count.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.hits = self.misses = self.evicted = self.too_large = 0
        self._entries: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get_or_make(self, key: str, make: Callable[[], Kept]) -> Kept:
        """The value kept under `key`, else what `make` gives."""
        if key in self._entries:
            self.hits += 1
            self._entries.move_to_end(key)
            return self._entries[key]
        self.misses += 1
        made = make()
        self._keep(key, made)
        return made

    def clear(self) -> None:
        self._entries.clear()
        self.held_bytes = 0

    def _keep(self, key: str, value: Kept) -> None:
        if value.nbytes > self.limit_bytes:
            self.too_large += 1
            return
        while self.held_bytes + value.nbytes > self.limit_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.held_bytes -= oldest.nbytes
            self.evicted += 1
        self._entries[key] = value
        self.held_bytes += value.nbytes
