"""An exponential moving average of the trained weights."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class MovingAverage:
    """Keeps decay-weighted averages of parameters; the decay grows from 0 with the steps, so that
    the average is usable early."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters = list(parameters)
        self.decay = decay
        self.steps = 0
        self.averages = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.averages, [p.detach() for p in self.parameters], 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange weights and averages; a second call undoes the first."""
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state(self) -> dict[str, Tensor]:
        return {f"ema.{i}": a for i, a in enumerate(self.averages)}

    def load(self, state: dict[str, Tensor], steps: int) -> None:
        self.steps = steps
        for i, average in enumerate(self.averages):
            average.copy_(state[f"ema.{i}"])
