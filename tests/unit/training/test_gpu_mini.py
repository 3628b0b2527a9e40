"""One stretch on a GPU, run on the CPU with a second for each part."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adloom.errors import ModelError
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.renderer import RefAdGenRenderer
from tests.unit.training.conftest import drawn_shard
from training import gpu_mini
from training.gpu_mini import Stretch, run
from training.latents import encode_shard, joined
from training.shards import halved, write_shard

SECOND = 1 / 60


def test_both_sizes_are_drawn_trained_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_mini, "TAKE_UP_S", -1.0)
    from training.scenes_synth import CAPTION_WORDS

    build_mini(CAPTION_WORDS).save_pretrained(tmp_path / "start")
    write_shard(tmp_path / "traced", drawn_shard((128, 128), 2))
    plan = Stretch(0.0, SECOND, SECOND, SECOND, 2, 2, workers=1, block=2)
    run(tmp_path / "start", tmp_path / "traced", tmp_path / "out", plan, tmp_path / "room", 0.0)

    small, large = (RefAdGenRenderer.load(tmp_path / "out" / n) for n in ("mini", "mini-256"))
    assert (small.native_unit, small.reference_size) == (16, 128)
    assert (large.native_unit, large.reference_size) == (32, 256)
    assert build_mini(["a"], reference_size=256).format_unit == 32
    with pytest.raises(ModelError, match="a run lies there already"):
        run(tmp_path / "start", tmp_path / "traced", tmp_path / "out", plan, tmp_path / "room", 0.0)
    assert small.weights_hash != large.weights_hash
    figures = json.loads((tmp_path / "out" / "gpu-mini.json").read_text())
    assert figures["drawn"] > 2  # while the small model was trained, too
    assert capsys.readouterr().out.count("samples drawn") > 2  # not at each one's start alone
    [block, *_] = sorted((tmp_path / "room" / "blocks").iterdir())
    [products] = block.glob("*.products.npy")
    assert np.load(products, mmap_mode="r").shape[1:] == (256, 256, 3)


def test_weights_of_the_large_size_are_gone_on_from_at_once(tmp_path: Path) -> None:
    from training.scenes_synth import CAPTION_WORDS

    build_mini(CAPTION_WORDS, reference_size=256).save_pretrained(tmp_path / "start")
    plan = Stretch(0.0, SECOND, SECOND, SECOND, 2, 2, workers=1, block=2)
    run(tmp_path / "start", None, tmp_path / "out", plan, tmp_path / "room", 0.0)
    assert RefAdGenRenderer.load(tmp_path / "out" / "mini-256").reference_size == 256
    assert not (tmp_path / "out" / "mini").exists()


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    from training.scenes_synth import CAPTION_WORDS

    build_mini(CAPTION_WORDS, reference_size=64).save_pretrained(tmp_path / "start")
    plan = Stretch(0.0, SECOND, SECOND, SECOND, 2, 2, workers=1, block=2)
    with pytest.raises(ModelError, match="weights of 64 px"):
        run(tmp_path / "start", None, tmp_path / "out", plan, tmp_path / "room", 0.0)


def test_a_share_of_all_is_refused(tmp_path: Path) -> None:
    from training.scenes_synth import CAPTION_WORDS

    build_mini(CAPTION_WORDS, reference_size=256).save_pretrained(tmp_path / "start")
    plan = Stretch(0.0, SECOND, SECOND, SECOND, 2, 2, traced_share=1.0, workers=1, block=2)
    with pytest.raises(ModelError, match="traced samples are 1 of all"):
        run(tmp_path / "start", None, tmp_path / "out", plan, tmp_path / "room", 0.0)


def test_weights_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    build_mini(["a", "red", "bottle"]).save_pretrained(tmp_path / "start")
    write_shard(tmp_path / "traced", drawn_shard((128, 128), 2))
    plan = Stretch(0.0, SECOND, SECOND, SECOND, 2, 2, workers=1, block=2)
    with pytest.raises(ModelError, match="another vocabulary"):
        run(tmp_path / "start", tmp_path / "traced", tmp_path / "out", plan, tmp_path / "r", 0.0)


def test_a_mirrored_sample_is_the_sample_of_mirrored_pictures(
    pipeline: RefAdGenPipeline,
) -> None:
    shard = drawn_shard((96, 64), 3)
    shard.products[:, :20, :10] = 200  # left and right differ
    shard.ads[:, :20, :10] = 200
    seen = encode_shard(pipeline, shard, mirror=True)
    expected = pipeline.encode_picture(
        torch.from_numpy(shard.ads[:, :, ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    )
    assert torch.allclose(seen.ads.float(), expected, atol=2e-2)
    assert torch.allclose(seen.frames[:, 0], 96 - torch.from_numpy(shard.frames[:, 0]))
    assert torch.equal(seen.frames[:, 1:], torch.from_numpy(shard.frames[:, 1:]))
    plain = encode_shard(pipeline, shard)
    products = torch.from_numpy(shard.products[:, :, ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    assert torch.allclose(seen.products.float(), pipeline.encode_picture(products), atol=2e-2)
    assert (seen.pixels.int() - plain.pixels.flip(-1).int()).abs().max() <= 1
    assert torch.equal(seen.masks, plain.masks.flip(-1))
    with pytest.raises(ModelError, match="references of 2 sizes"):
        joined([plain, replace(seen, products=seen.products[..., :-1])])
    [both] = joined([plain, seen])
    assert (both.native, len(both)) == ((96, 64), 6)
    assert torch.equal(both.ads[3:], seen.ads)


def test_halved_samples_show_the_same_at_half_the_size() -> None:
    shard = drawn_shard((64, 96), 2)
    small = halved(shard)
    assert (small.native, small.ads.shape, small.masks.shape) == (
        (32, 48),
        (2, 48, 32, 3),
        (2, 48, 32),
    )
    assert np.array_equal(small.frames * 2, shard.frames)
    quarter = shard.ads[:, :2, :2].astype(float).mean((1, 2))
    assert np.abs(small.ads[:, 0, 0] - quarter).max() <= 1
