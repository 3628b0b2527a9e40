"""Does a picture show the scene that was asked for? A linear classifier of scenes, the product
masked out. It learns from true ads; what it judges was trained on none of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from training.judging.lite0 import Lite0

Picture = NDArray[np.uint8]
GREY: Final = 128
ITERATIONS: Final = 60
DECAY: Final = 1e-3


def without_product(picture: Picture, mask: Picture) -> Picture:
    """The picture with a grey box where the product is: neither it nor its outline is left."""
    hidden = picture.copy()
    rows, columns = np.flatnonzero((mask > 8).any(1)), np.flatnonzero((mask > 8).any(0))
    if len(rows):
        hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = GREY
    return hidden


@dataclass(frozen=True, slots=True)
class SceneClassifier:
    """weights (D + 1, K) on Lite0's features and a one; `names` of the K scenes."""

    weights: NDArray[np.float64]
    names: tuple[str, ...]

    def top1(
        self, lite0: Lite0, pictures: Sequence[Picture], masks: Sequence[Picture],
        names: Sequence[str],
    ) -> list[float]:  # fmt: skip
        """1 or 0 of each picture; NaN where the scene was never learned."""
        hidden = [without_product(p, m) for p, m in zip(pictures, masks, strict=True)]
        scores = _with_one(lite0.features(hidden)) @ self.weights
        guessed = [self.names[k] for k in scores.argmax(1)]
        known = set(self.names)
        return [float(g == n) if n in known else float("nan")
                for g, n in zip(guessed, names, strict=True)]  # fmt: skip


def learn_scenes(
    lite0: Lite0, pictures: Sequence[Picture], masks: Sequence[Picture], names: Sequence[str]
) -> SceneClassifier:
    """A multinomial logistic regression; each scene counts alike however often it is shown."""
    hidden = [without_product(p, m) for p, m in zip(pictures, masks, strict=True)]
    x = torch.from_numpy(_with_one(lite0.features(hidden)))
    known = tuple(sorted(set(names)))
    y = torch.tensor([known.index(n) for n in names])
    balance = len(y) / torch.bincount(y, minlength=len(known)).double() / len(known)
    weights = torch.zeros(x.shape[1], len(known), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        error = F.cross_entropy(x @ weights, y, weight=balance)
        loss = error + DECAY * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return SceneClassifier(weights.detach().numpy(), known)


def _with_one(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit features brought to a spread of about one, and a constant."""
    return np.concatenate([features * 12, np.ones((len(features), 1))], axis=1)
