"""Processor time and memory of groups of processes, read while they work."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

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
    _base: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def watched(self) -> "Iterator[Usage]":
        """Reads for the duration of the block, in a thread."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(self.every_s):
                self.read()

        self.read()
        self._base = dict(self.readings[0].cpu_s)
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

    @property
    def seconds(self) -> float:
        return self.readings[-1].at - self.readings[0].at

    def cpu_s(self, group: str) -> float:
        """Processor seconds that a group took since the first reading."""
        return self.readings[-1].cpu_s.get(group, 0.0) - self._base.get(group, 0.0)

    def memory_mb(self, group: str) -> tuple[int, int, int]:
        """A group's memory in the second, the fifth and the last tenth of the time."""
        values = [r.mb.get(group, 0.0) for r in self.readings]
        tenth = max(1, len(values) // 10)
        windows = (values[tenth : 2 * tenth], values[4 * tenth : 5 * tenth], values[-tenth:])
        first, middle, last = (round(median(w)) if w else 0 for w in windows)
        return first, middle, last
