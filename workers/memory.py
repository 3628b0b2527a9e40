"""How far a process's memory may grow before a new one takes its place."""

import psutil

_SETTLED_BATCHES = 3
"""What the first batches allocate (models, caches, workspaces) is what the process needs."""
_MB = 1_000_000


class MemoryBound:
    """Memory of the process and its device, held against what it was after its first batches.

    `growth_mb` beyond that is a leak; 0: no bound.
    """

    def __init__(self, process: psutil.Process, device: str, growth_mb: int) -> None:
        self._process, self._device, self._growth_mb = process, device, growth_mb
        self._settled_mb: tuple[float, float] | None = None
        self.exceeded = False

    @property
    def limit_mb(self) -> float:
        """The bound on resident memory; infinite until the process has settled."""
        if not self._growth_mb or self._settled_mb is None:
            return float("inf")
        return self._settled_mb[0] + self._growth_mb

    def rss_mb(self) -> float:
        return float(self._process.memory_info().rss) / _MB

    def is_exceeded(self, batches: int) -> bool:
        """Whether the process is to be replaced, after so many batches (or other flow runs)."""
        if not self._growth_mb or batches < _SETTLED_BATCHES:
            return False
        now = (self.rss_mb(), self._on_device_mb())
        if self._settled_mb is None:
            self._settled_mb = now
        grown = max(n - s for n, s in zip(now, self._settled_mb, strict=True))
        self.exceeded = self.exceeded or grown > self._growth_mb
        return self.exceeded

    def _on_device_mb(self) -> float:
        if not self._device.startswith("cuda"):
            return 0.0
        from models.device import allocated_bytes  # imports torch

        return allocated_bytes(self._device) / _MB
