"""Looking at what grows with the night, at most a twentieth of the time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE = 20.0
RAREST_S = 60.0
"""Also where a look took long for another reason, such as an outage that was waited out."""


class Leisure:
    """Says when to look again: every `every_s`, or more rarely where looking takes long.

    A count over a run of a million items takes Postgres a second, which many coordinators share.
    Of the last two looks the shorter says what looking costs: a single slow one tells of a busy
    moment, and a run's budget may not go unwatched for its sake.
    """

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._again_at = float("-inf")
        self._before_s = 0.0

    @property
    def is_due(self) -> bool:
        return self._clock() >= self._again_at

    @contextmanager
    def look(self) -> Iterator[None]:
        """Around the look itself; one that fails says nothing of what looking costs."""
        began = self._clock()
        self._again_at = began + self._every_s
        yield
        took = self._clock() - began
        usual, self._before_s = min(took, self._before_s), took
        self._again_at = began + max(self._every_s, min(RAREST_S, SHARE * usual))
