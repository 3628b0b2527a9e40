"""Which pictures are rendered in one go, and how many of them."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

WAITING_ITEMS = 256

Item = TypeVar("Item")
Kind = TypeVar("Kind", bound=Hashable)


def micro_batches(
    items: Iterable[Item],
    kind: Callable[[Item], Kind],
    at_most: Callable[[Kind], int],
    waiting: int = WAITING_ITEMS,
) -> Iterator[list[Item]]:
    """Lists of items of one kind, each given out as soon as it is full.

    Items are taken as they are asked for. Order is kept within a kind, so that items that share a
    reference and follow each other stay together. The lists that no item filled come last, in the
    order in which they were begun; but where more than `waiting` items wait in such lists, the one
    begun first is given out as it is, so that many kinds do not hold many items.
    """
    begun: dict[Kind, list[Item]] = {}
    count = 0
    for item in items:
        its = kind(item)
        batch = begun.setdefault(its, [])
        batch.append(item)
        count += 1
        if len(batch) >= at_most(its) or count > waiting:
            full = its if len(batch) >= at_most(its) else next(iter(begun))
            given = begun.pop(full)
            count -= len(given)
            yield given
    yield from begun.values()


@dataclass(slots=True)
class FittingSizes:
    """How many at once fit the device, by kind: what did not fit is never tried again.

    A size is halved from the one that failed and does not grow back within a process: each try
    that fails costs the work of a whole micro-batch, and what a device can hold seldom changes
    while a worker has it. A new process starts from the setting.
    """

    limits: dict[Hashable, int] = field(default_factory=dict)

    def at_most(self, kind: Hashable, wanted: int) -> int:
        return min(self.limits.get(kind, wanted), wanted)

    def did_not_fit(self, kind: Hashable, size: int) -> int:
        """Remembers it, and gives the size to try next (at least 1)."""
        self.limits[kind] = min(max(1, size // 2), self.limits.get(kind, size))
        return self.limits[kind]
