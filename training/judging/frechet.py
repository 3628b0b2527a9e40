"""FID (Heusel et al. 2017): the Fréchet distance of Inception features of two sets of pictures.

With fewer pictures than features (2048) it is biased upwards: compare sets of one size only.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.judging.statistics import LEVEL, Array, Interval

Picture = NDArray[np.uint8]
Features = Callable[[Sequence[Picture]], Array]
RESAMPLES: Final = 100


def frechet_distance(first: Array, second: Array) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2) of features (N, D) and (M, D).

    With S = X^T X of centred and scaled features, the eigenvalues of S1 S2 are the squares of
    X1 X2^T's singular values: no matrix of D x D is made.
    """
    a, b = (_centred(x) for x in (first, second))
    apart = float(np.square(first.mean(0) - second.mean(0)).sum())
    shared = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    return apart + float(np.square(a).sum() + np.square(b).sum()) - 2 * shared


def frechet_interval(made: Sequence[Array], true: Array, seed: int = 0) -> Interval:
    """The mean distance of every seed's pictures (N, D) from the N true ones, with a bootstrap
    interval over samples.

    A resampled set repeats pictures and is further from any other: the interval is moved back by
    what its mean is above the distance itself.
    """
    rng = np.random.default_rng(seed)
    drawn = np.array([
        np.mean([frechet_distance(one[rows], true[rows]) for one in made])
        for rows in rng.integers(len(true), size=(RESAMPLES, len(true)))
    ])  # fmt: skip
    whole = float(np.mean([frechet_distance(one, true) for one in made]))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - (drawn.mean() - whole)
    return Interval(whole, float(low), float(high))


def inception_features(device: str = "cpu") -> Features:
    """(N, 2048) by pytorch-fid's port of the network that FID is defined by. Raises ImportError
    without the package, OSError where its weights cannot be had."""
    module: Any = import_module("pytorch_fid.inception")
    network: Any = module.InceptionV3([module.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    network = network.to(device).eval()

    @torch.no_grad()
    def features(pictures: Sequence[Picture]) -> Array:
        made = []
        for picture in pictures:
            given = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
            made.append(network(given.float().to(device) / 255)[0].flatten().cpu().numpy())
        return np.stack(made).astype(np.float64)

    return features


def _centred(x: Array) -> Array:
    return (x - x.mean(0)) / np.sqrt(len(x) - 1)
