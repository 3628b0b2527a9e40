"""What the image encoder sees of a reference picture."""

import numpy as np
import torch
from PIL import Image

from models.refadgen.pictures import CLIP_MEAN, CLIP_STD, encoder_pixels


def test_a_rectangular_picture_is_scaled_by_its_shorter_side_and_cut_in_the_middle() -> None:
    array = np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)
    made = encoder_pixels(torch.from_numpy(array).permute(2, 0, 1)[None].float() / 255, 32)
    resized = Image.fromarray(array).resize((32, 48), Image.Resampling.BICUBIC)
    cut = np.asarray(resized, np.float64)[8:40] / 255
    expected = (cut - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    assert made.shape == (1, 3, 32, 32)
    two_levels = 2 / 255 / min(CLIP_STD)  # the picture library rounds after each direction
    assert np.abs(made[0].permute(1, 2, 0).numpy() - expected).max() <= two_levels


def test_half_precision_pictures_are_resized_like_others() -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    made = encoder_pixels(images.bfloat16(), 32)
    assert made.dtype == torch.bfloat16
    assert (made.float() - encoder_pixels(images, 32)).abs().max() <= 0.05
