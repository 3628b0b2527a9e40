"""What is recorded as a CUDA graph is a function of its tensors alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.training.conftest import drawn_shard
from training.latents import Batch, draw_batch, encode_shard
from training.lean_norms import make_lean
from training.objective import Objective, Prepared
from training.recipe import read_recipe
from training.recorded import RecordedLoss, tensors_of
from training.trainable import choose_trainable

READ_BACK = ("_local_scalar_dense", "nonzero", "lift_fresh", "masked_select")
"""Operations that wait for the device, or copy a constant to it: no graph can hold them."""


class Named(TorchDispatchMode):
    """The names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


def drawn(pipeline: RefAdGenPipeline) -> tuple[Objective, Batch]:
    choose_trainable(pipeline, "whole")
    bucket = encode_shard(pipeline, drawn_shard((64, 96), 4))
    objective = Objective(pipeline, replace(read_recipe("gpu"), min_snr_gamma=5.0))
    return objective, draw_batch([bucket], 4, np.random.default_rng(0))


def test_the_loss_reads_nothing_back_and_copies_no_constant(pipeline: RefAdGenPipeline) -> None:
    objective, batch = drawn(pipeline)
    prepared = objective.prepared(batch, np.random.default_rng(1))
    with Named() as named:
        objective.error(prepared).backward()
    assert any("convolution_backward" in name for name in named.names)
    assert not [n for n in named.names if any(word in n for word in READ_BACK)]


def test_what_is_prepared_gives_the_loss(pipeline: RefAdGenPipeline) -> None:
    objective, batch = drawn(pipeline)
    prepared = objective.prepared(batch, np.random.default_rng(1))
    whole = objective(batch, np.random.default_rng(1))
    assert torch.equal(objective.error(prepared), whole)
    count = len(list(tensors_of(prepared)))
    assert count == 6 + 3 + 1  # the batch's, what is noised, the weights


def test_lean_norms_keep_bfloat16_and_nearly_the_same_numbers() -> None:
    norms = nn.Sequential(nn.GroupNorm(2, 8), nn.Flatten(), nn.LayerNorm(32))
    for parameter in norms.parameters():
        nn.init.normal_(parameter)
    given = torch.randn(3, 8, 2, 2)
    expected = norms(given)
    make_lean(norms)
    assert torch.equal(norms(given), expected)  # float32 stays as it is
    with torch.autocast("cpu", torch.bfloat16):
        made = norms(given.bfloat16())
    assert made.dtype == torch.bfloat16
    assert (made.float() - expected).abs().max() < 0.1
    assert list(norms.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_recorded_gradients_are_the_plain_ones(pipeline: RefAdGenPipeline) -> None:
    pipeline.to("cuda")
    objective, batch = drawn(pipeline)
    parameters = [p for p in pipeline.unet.parameters() if p.requires_grad]

    def gradients(loss: Any, prepared: Prepared) -> Tensor:
        value = loss(prepared)
        if value.requires_grad:
            value.backward()
        return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])

    batch = batch.to(objective.device)
    recorded = RecordedLoss(objective.error, parameters)
    for seed in (1, 2):  # recorded, then replayed with other numbers
        prepared = objective.prepared(batch, np.random.default_rng(seed))
        made = gradients(recorded, prepared).clone()
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.zero_()
        expected = gradients(objective.error, prepared)
        assert (made - expected).norm() < 0.02 * expected.norm()
