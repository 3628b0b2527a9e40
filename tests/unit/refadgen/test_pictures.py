"""Pictures of every kind that users give become tensors, transparent ones on white."""

import numpy as np
import pytest
import torch
from PIL import Image

from adloom.errors import RenderArgumentError
from models.refadgen.pictures import as_tensor

HALF_RED = np.zeros((4, 6, 4), np.uint8)
HALF_RED[:, :3] = (255, 0, 0, 255)


@pytest.mark.parametrize(
    "picture",
    [Image.fromarray(HALF_RED), HALF_RED, HALF_RED.astype(np.float32) / 255],
    ids=["PIL", "uint8", "float"],
)
def test_what_is_transparent_becomes_white(picture: object) -> None:
    made = as_tensor("image", picture, 3)  # pyright: ignore[reportArgumentType]
    assert made.shape == (1, 3, 4, 6)
    assert torch.equal(made[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(made[0, :, 0, 5], torch.ones(3))


def test_opaque_pictures_and_masks_keep_their_values() -> None:
    grey = Image.new("L", (5, 5), 51)
    assert torch.allclose(as_tensor("mask_image", grey, 1), torch.full((1, 1, 5, 5), 0.2))
    assert torch.allclose(as_tensor("image", grey, 3), torch.full((1, 3, 5, 5), 0.2))


@pytest.mark.parametrize("picture", [torch.ones(8, 8), np.ones((8, 8, 5)), "a.png"])
def test_what_is_no_picture_is_named(picture: object) -> None:
    with pytest.raises(RenderArgumentError, match="mask_image"):
        as_tensor("mask_image", picture, 1)  # pyright: ignore[reportArgumentType]
