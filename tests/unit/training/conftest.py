"""Encoded samples for training tests: coloured products on grey, in memory."""

import numpy as np
import pytest

from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import small_pipeline
from training.latents import Bucket, encode_shard
from training.shards import Shard

NATIVES = ((64, 96), (96, 64))


def drawn_shard(native: tuple[int, int], count: int, seed: int = 0) -> Shard:
    """Boxes of random colours on grey, the same colour in the product picture."""
    rng = np.random.default_rng([seed, *native])
    width, height = native
    colours = rng.integers(0, 256, (count, 1, 1, 3), np.uint8)
    ads = np.full((count, height, width, 3), 128, np.uint8)
    masks = np.zeros((count, height, width), np.uint8)
    ads[:, 24:56, 16:48] = colours
    masks[:, 24:56, 16:48] = 255
    products = np.full((count, 64, 64, 3), 255, np.uint8)
    products[:, 5:59, 5:59] = colours
    frames = np.tile(np.array([32, 40, 32 / 0.85], np.float32), (count, 1))
    return Shard(native, ads, masks, products, frames, ["a red cup on white table"] * count)


@pytest.fixture
def pipeline() -> RefAdGenPipeline:
    return small_pipeline()


@pytest.fixture
def buckets(pipeline: RefAdGenPipeline) -> list[Bucket]:
    return [encode_shard(pipeline, drawn_shard(native, 12)) for native in NATIVES]
