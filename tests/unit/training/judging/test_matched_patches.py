"""MP-LPIPS on features of a small random Stable Diffusion; patches are compared by plain error."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from numpy.typing import NDArray
from torch import Tensor

from adloom.errors import ModelError
from tests.unit.refadgen.starting_points import stable_diffusion
from training.judging.heldout import Truth, shown_in
from training.judging.hub import measure_named
from training.judging.matched_patches import DiffusionFeatures, MatchedPatches

Picture = NDArray[np.uint8]
SIDE = 64


def error(first: Tensor, second: Tensor) -> Tensor:
    """As LPIPS is called: (N, 3, P, P) twice -> N. White from black is 4."""
    return (first - second).square().flatten(1).mean(1)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> DiffusionFeatures:
    base = stable_diffusion(tmp_path_factory.mktemp("base") / "sd", "sd15")
    pipeline: Any = StableDiffusionPipeline.from_pretrained(base, safety_checker=None)
    return DiffusionFeatures(pipeline)


def patterned(seed: int) -> Picture:
    """A product of drawn squares on white, as a reference picture."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    squares = rng.integers(0, 220, (6, 6, 3)).astype(np.uint8)
    picture[8:56, 8:56] = np.kron(squares, np.ones((8, 8, 1), np.uint8))
    return picture


def truth() -> Truth:
    reference = patterned(1)
    return Truth(reference, shown_in(reference), reference, (32.0, 32.0, 64.0), "a box", {})


def test_the_product_itself_is_nearer_than_another_and_than_a_repainted_one(
    features: DiffusionFeatures,
) -> None:
    measure = MatchedPatches(features, error, shown_in, side=SIDE)
    given = truth()
    repainted = given.reference.copy()
    repainted[8:56, 8:56] = repainted[8:56, 8:56][::-1, :, ::-1]
    same, other, painted = measure([given.reference, patterned(2), repainted], [given] * 3)
    assert same == pytest.approx(0, abs=1e-6)
    assert other > 0.05
    assert painted > 0.05


def test_points_that_are_found_beside_the_product_count_as_white_from_black(
    features: DiffusionFeatures,
) -> None:
    def nowhere(picture: Picture) -> Picture:
        return np.zeros(picture.shape[:2], np.uint8)

    given = truth()
    assert MatchedPatches(features, error, nowhere, side=SIDE)([given.ad], [given]) == [4.0]


def test_features_are_the_same_twice_and_tell_pictures_apart(features: DiffusionFeatures) -> None:
    pictures = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    maps = features(pictures)
    assert torch.equal(features(pictures), maps)
    assert not torch.allclose(maps[0], maps[1])


@pytest.mark.parametrize("name", ["lpips", "mp-lpips"])
def test_without_the_package_it_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ModelError, match="pip install lpips"):
        measure_named(name)


def test_lpips_has_networks_of_its_own() -> None:
    with pytest.raises(ModelError, match="one of alex, vgg, squeeze"):
        measure_named("lpips", "some/folder")
