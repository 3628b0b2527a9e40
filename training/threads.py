"""How many threads a step uses, chosen by timing: on a shared machine two threads that wait for
each other can be slower than one."""

import time
from collections.abc import Callable

import torch


class ThreadChooser:
    """Times `trial` steps with each count, keeps the fastest for `period` steps, tries again."""

    def __init__(
        self,
        counts: tuple[int, ...],
        trial: int = 3,
        period: int = 100,
        apply: Callable[[int], None] = torch.set_num_threads,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.counts, self.trial, self.period = counts, trial, period
        self.apply, self.clock = apply, clock
        self.current = counts[0]
        self._step = 0
        self._started = 0.0
        self._times: dict[int, float] = {}

    def before_step(self) -> int:
        """Call before every step; returns the number of threads in use."""
        trials = self.trial * len(self.counts)
        phase = self._step % (trials + self.period)
        if phase <= trials and phase % self.trial == 0:
            now = self.clock()
            if phase > 0:
                self._times[self.current] = now - self._started
            self._started = now
            self.current = self._fastest() if phase == trials else self.counts[phase // self.trial]
            self.apply(self.current)
        self._step += 1
        return self.current

    def _fastest(self) -> int:
        return min(self.counts, key=lambda count: self._times[count])
