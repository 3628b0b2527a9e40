"""Triplets as the trainer takes them, and released folders with holes."""

import json
from pathlib import Path

import numpy as np
import pytest

from adloom.errors import NotFoundError, PhotoError
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.training.adprod.pictures import ad, mask, save
from training.adprod.released import list_triplets
from training.adprod.samples import read_sample, write_samples
from training.latents import encode_shard
from training.shards import read_shards


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """Two ads as the authors release them: no key of the product, no mask of its own; one of the
    files that are named is not there."""
    entries = []
    for seed, name in ((1, "A"), (2, "B")):
        picture, place = ad(seed), mask()
        save(tmp_path / "Ad Image", f"{name}.png", picture)
        cutout = np.where(place[..., None] > 0, picture, 255).astype(np.uint8)
        save(tmp_path / "Product Image" / "deeper", f"{name}_01.png", cutout)
        (tmp_path / "mask_npy").mkdir(exist_ok=True)
        np.save(tmp_path / "mask_npy" / f"{name}.npy", place >= 128)
        entries.append({
            "image_type": "cup", "original_image": f"{name}.png", "mask_image": f"{name}_01.png",
            "mask_npy": f"{name}.npy", "image_text": ["first", "second"],
        })  # fmt: skip
    entries.append(entries[0] | {"mask_image": "A_02.png"})
    entries.append(entries[0] | {"image_text": []})
    (tmp_path / "annotations.json").write_text(json.dumps(entries))
    return tmp_path


def test_a_released_folder_is_listed_and_what_is_missing_named(released: Path) -> None:
    listing = list_triplets(released)
    assert len(listing) == 2
    assert listing.missing == ("Product Image/A_02.png",)
    assert listing.uncaptioned == ("A.png",)
    with pytest.raises(NotFoundError):
        list_triplets(released, "train")


@pytest.mark.parametrize("native", [(96, 128), (128, 96), (96, 96)])
def test_ad_product_and_mask_are_cut_alike(released: Path, native: tuple[int, int]) -> None:
    (triplet, _) = list_triplets(released).triplets
    for seed in range(6):
        sample = read_sample(triplet, native, np.random.default_rng(seed))
        assert sample.ad.shape == sample.product.shape == (native[1], native[0], 3)
        assert set(np.unique(sample.mask)) <= {0, 255}
        inside = np.zeros(sample.mask.shape, bool)
        inside[1:-1, 1:-1] = True
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            inside &= np.roll(sample.mask, (dy, dx), (0, 1)) == 255
        difference = np.abs(sample.ad.astype(int) - sample.product)
        assert np.median(difference[inside]) <= 2
        cx, cy, side = sample.frame
        ys, xs = np.nonzero(sample.mask)
        assert cx - side / 2 < xs.mean() < cx + side / 2
        assert cy - side / 2 < ys.mean() < cy + side / 2
        assert side == pytest.approx(110 * max(native[0], native[1]) / 240 / 0.85, rel=0.03)


def test_the_product_alone_is_centred_on_white(released: Path) -> None:
    sample = read_sample(list_triplets(released).triplets[0], (96, 96), np.random.default_rng(0))
    dark = (sample.canonical < 240).any(2)
    ys, xs = np.nonzero(dark)
    assert (xs.min() + xs.max()) / 2 == pytest.approx(63.5, abs=2)
    assert (ys.max() - ys.min() + 1) / 128 == pytest.approx(0.85, abs=0.03)
    assert (sample.canonical[0] == 255).all()


def test_captions_are_drawn(released: Path) -> None:
    (triplet, _) = list_triplets(released).triplets
    drawn = {read_sample(triplet, (96, 96), np.random.default_rng(s)).caption for s in range(20)}
    assert drawn == {"first", "second"}


def test_shards_are_those_the_trainer_reads(released: Path, tmp_path: Path) -> None:
    listing = list_triplets(released)
    out = tmp_path / "shards"
    assert write_samples(listing.triplets, out, (96, 128), 5, seed=1) == []
    (shard,) = read_shards(out)
    assert shard.native == (96, 128)
    assert shard.ads.shape == (5, 128, 96, 3)
    assert shard.products.shape == (5, 128, 128, 3)
    assert len(shard.captions) == len(shard.frames) == 5
    write_samples(listing.triplets, tmp_path / "again", (96, 128), 5, seed=1)
    (again,) = read_shards(tmp_path / "again")
    assert (again.ads == shard.ads).all()
    assert list(again.captions) == list(shard.captions)


def test_the_trainer_encodes_them(
    released: Path, tmp_path: Path, pipeline: RefAdGenPipeline
) -> None:
    write_samples(list_triplets(released).triplets, tmp_path / "shards", (64, 96), 2, seed=1)
    (shard,) = read_shards(tmp_path / "shards")
    bucket = encode_shard(pipeline, shard)
    assert len(bucket) == 2
    assert bucket.masks.max() == 1


def test_a_triplet_that_cannot_be_used_is_named_and_the_rest_goes_on(
    released: Path, tmp_path: Path
) -> None:
    (released / "mask_npy" / "A.npy").write_bytes(b"no array")
    listing = list_triplets(released)
    problems = write_samples(listing.triplets, tmp_path / "shards", (96, 96), 4, seed=0)
    assert len(problems) == 1
    assert "A.npy" in problems[0]
    (released / "mask_npy" / "B.npy").write_bytes(b"no array")
    with pytest.raises(PhotoError, match="no triplet"):
        write_samples(listing.triplets, tmp_path / "more", (96, 96), 4, seed=0)
