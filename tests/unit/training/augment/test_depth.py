"""A depth network's relief, by a tiny random model of Depth Anything's class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

from adloom.errors import ModelError
from tests.unit.training.augment.products import striped_disc
from training.augment.camera import Turn
from training.augment.depth import DepthEstimator
from training.augment.heights import inscribed_radius
from training.augment.novel_views import LiftedProduct


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16,
        image_size=42, patch_size=14, out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, patch_size=14,
        neck_hidden_sizes=[4, 8, 8, 8], fusion_hidden_size=8, head_hidden_size=4,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("depth")
    torch.manual_seed(0)  # with some weights all depths are alike
    DepthAnythingForDepthEstimation(config).save_pretrained(path)
    DPTImageProcessorPil(size={"height": 42, "width": 42}).save_pretrained(path)
    return path


def test_a_relief_lies_between_nothing_and_the_inscribed_radius(folder: Path) -> None:
    photo, mask = striped_disc()
    relief = DepthEstimator.load(folder, offline=True).relief(photo, mask)
    assert relief.shape == mask.shape
    assert (relief[mask < 128] == 0).all()
    assert relief.max() == pytest.approx(inscribed_radius(mask >= 128), rel=1e-5)
    view = LiftedProduct(photo, mask, relief=relief).view(Turn(8))
    assert (view.mask >= 128).any()


def test_metric_networks_grow_with_distance(folder: Path) -> None:
    photo, mask = striped_disc()
    estimator = DepthEstimator.load(folder, offline=True)
    near = estimator.relief(photo, mask)
    estimator.grows_with_distance = True
    far = estimator.relief(photo, mask)
    inside = mask >= 128
    assert np.allclose((near + far)[inside], inscribed_radius(inside), atol=1e-3)


def test_a_missing_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        DepthEstimator.load(tmp_path, offline=True)
