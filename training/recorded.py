"""Loss and gradients of a batch as a CUDA graph: kernels recorded once, launched at once.

A small network's step is some thousands of short kernels, and the CPU that launches them one by one
is slower than the GPU (docs/performance.md). What is random is drawn outside (`Prepared`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.objective import Prepared

WARM_UP = 3
"""Runs before recording: libraries choose their kernels and take their memory."""


@dataclass(frozen=True, slots=True)
class _Recording:
    given: Prepared
    loss: Tensor
    graph: torch.cuda.CUDAGraph

    def replay(self, given: Prepared) -> Tensor:
        for held, new in zip(tensors_of(self.given), tensors_of(given), strict=True):
            held.copy_(new)
        self.graph.replay()
        return self.loss.clone()


class RecordedLoss:
    """`loss` of what is given, and the parameters' gradients (no others are kept), recorded for
    each set of shapes that comes. Gradients keep their place in memory: never set them to None."""

    def __init__(
        self, loss: Callable[[Prepared], Tensor], parameters: Sequence[nn.Parameter]
    ) -> None:
        self._loss, self._parameters = loss, parameters
        self._gradients: list[Tensor] = []
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, given: Prepared) -> Tensor:
        shapes = tuple(t.shape for t in tensors_of(given))
        if shapes not in self._recordings:
            self._recordings[shapes] = self._recorded(given)
        return self._recordings[shapes].replay(given)

    def _recorded(self, given: Prepared) -> _Recording:
        held = _copied(given)
        if not self._gradients:
            self._find_gradients(held)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._run(held)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Replayed one at a time, and nothing of one is read after another: they share memory.
        pool = next((r.graph.pool() for r in self._recordings.values()), None)
        with torch.cuda.graph(graph, pool=pool):
            loss = self._run(held)
        return _Recording(held, loss, graph)

    def _find_gradients(self, given: Prepared) -> None:
        """Parameters that nothing reads have none, and are not to decay."""
        for parameter in self._parameters:
            parameter.grad = None
        self._loss(given).backward()
        self._gradients = [p.grad for p in self._parameters if p.grad is not None]

    def _run(self, given: Prepared) -> Tensor:
        torch._foreach_zero_(self._gradients)  # pyright: ignore[reportPrivateImportUsage]
        loss = self._loss(given)
        loss.backward()
        return loss.detach()


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Every tensor of a dataclass of tensors, None and such dataclasses, in the order of its
    fields."""
    for field in fields(value):
        held = getattr(value, field.name)
        if is_dataclass(held):
            yield from tensors_of(held)
        elif held is not None:
            yield held


def _copied(value: Any) -> Any:
    """The same in memory of its own."""
    if value is None or isinstance(value, Tensor):
        return value if value is None else value.clone()
    return type(value)(**{f.name: _copied(getattr(value, f.name)) for f in fields(value)})
