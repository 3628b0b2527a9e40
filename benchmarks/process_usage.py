"""Processor time and memory of groups of processes, read while they work."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import psutil

_MB = 1_000_000

Groups = Callable[[], Mapping[str, Sequence[psutil.Process]]]
"""The processes of each group at the moment."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`cpu_s`: processor seconds of a group so far, ended processes included; `mb`: its resident
    memory, without what processes share."""

    at: float
    cpu_s: Mapping[str, float]
    mb: Mapping[str, float]


@dataclass
class Usage:
    """What groups of processes took, by readings every few seconds."""

    groups: Groups
    every_s: float = 2.0
    readings: list[Reading] = field(default_factory=list)
    _cpu: dict[tuple[str, int, float], float] = field(default_factory=dict)

    @contextlib.contextmanager
    def watched(self) -> "Iterator[Usage]":
        """Reads for the duration of the block, in a thread."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(self.every_s):
                self.read()

        self.read()
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()
            self.read()

    def read(self) -> None:
        """One reading. The processor time of a process that ended is what it was last seen with."""
        mb: dict[str, float] = {}
        for group, processes in self.groups().items():
            mb[group] = 0.0
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    times, memory = process.cpu_times(), process.memory_info()
                    key = (group, process.pid, process.create_time())
                    self._cpu[key] = times.user + times.system
                    mb[group] += (memory.rss - memory.shared) / _MB
        cpu: dict[str, float] = dict.fromkeys(mb, 0.0)
        for (group, _, _), seconds in self._cpu.items():
            cpu[group] = cpu.get(group, 0.0) + seconds
        self.readings.append(Reading(time.time(), cpu, mb))

    def cores(self, group: str, begin: float = 0.0, end: float = float("inf")) -> float:
        """Processor seconds a second that a group took between two times of the clock."""
        begin, end = max(begin, self.readings[0].at), min(end, self.readings[-1].at)
        return (self._cpu_until(group, end) - self._cpu_until(group, begin)) / (end - begin)

    def _cpu_until(self, group: str, at: float) -> float:
        times = [r.at for r in self.readings]
        return float(np.interp(at, times, [r.cpu_s.get(group, 0.0) for r in self.readings]))

    def memory_mb(self, group: str, begin: float, end: float) -> tuple[int, int, int]:
        """A group's memory in the second, the fifth and the last tenth between two times."""
        values = [r.mb.get(group, 0.0) for r in self.readings if begin <= r.at <= end]
        tenth = max(1, len(values) // 10)
        windows = (values[tenth : 2 * tenth], values[4 * tenth : 5 * tenth], values[-tenth:])
        first, middle, last = (round(median(w)) if w else 0 for w in windows)
        return first, middle, last
