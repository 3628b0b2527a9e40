"""Weights in the form that they are shipped in. Their bill: tests/unit/tasks/test_weights.py."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from adloom.errors import ModelError
from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.regions import Regions
from models.refadgen.sampling import Guidance
from tests.unit.training.conftest import drawn_shard
from training.__main__ import app
from training.shards import words_of, write_shard

OWN = {
    "noise_scale": 0.9,
    "product_noise_scale": 0.8,
    "product_guidance": 0.3,
    "scene_eta": 0.4,
    "detail_guidance": 0.7,
    "detail_below": 0.2,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    pipeline = build_mini(["velvet", *words_of([drawn_shard((64, 64), 2)])])
    pipeline.register_to_config(**OWN)
    pipeline.save_pretrained(folder)
    return folder


def exported(trained: Path, out: Path, *options: str) -> RefAdGenPipeline:
    asked = ["export", str(trained), str(out), *options]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return RefAdGenPipeline.from_pretrained(out)


def test_a_models_own_regions_are_kept(trained: Path, tmp_path: Path) -> None:
    assert exported(trained, tmp_path).regions == Regions(0.9, 0.8, 0.3, 0.4, 0.7, 0.2)


def test_regions_are_what_is_asked_for(trained: Path, tmp_path: Path) -> None:
    asked = ["--product-guidance", "0.2", "--scene-eta", "0.6", "--noise-scale", "1"]
    asked += ["--detail-guidance", "0.25", "--detail-below", "0.5"]
    made = exported(trained, tmp_path, *asked)
    assert made.regions == Regions(1.0, 0.8, 0.2, 0.6, detail_guidance=0.25, detail_below=0.5)
    own = Guidance(6.0, rescale=0.5, product_share=0.2, detail_share=0.25, detail_below=500.0)
    assert made.guidance(6.0) == own


def test_regions_that_cannot_be_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="scene_eta 2"):
        exported(trained, tmp_path, "--scene-eta", "2")


def test_numbers_are_of_half_precision_and_no_folder_of_the_machine_is_told(
    trained: Path, tmp_path: Path
) -> None:
    exported(trained, tmp_path)
    stored = {t.dtype for f in tmp_path.rglob("*.safetensors") for t in load_file(f).values()}
    assert {d for d in stored if d.is_floating_point} == {torch.float16}
    assert all(str(trained) not in f.read_text() for f in tmp_path.rglob("*.json"))


def test_words_are_those_of_the_samples_and_the_autoencoder_is_the_given_one(
    trained: Path, tmp_path: Path
) -> None:
    shard = drawn_shard((64, 64), 2)
    write_shard(tmp_path / "samples", shard)
    torch.manual_seed(5)
    other = MiniAutoencoder(**RefAdGenPipeline.from_pretrained(trained).vae.config)
    other.save_pretrained(tmp_path / "vae")
    options = ["--samples", str(tmp_path / "samples"), "--vae", str(tmp_path / "vae")]
    made = exported(trained, tmp_path / "out", *options)
    known = {w for w in made.tokenizer.get_vocab() if not w.startswith("<")}
    assert known - {","} == words_of([shard])
    given, kept = next(other.parameters()), next(made.vae.parameters())
    assert torch.equal(kept, given.half().float())


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_what_is_written_lies_between_the_start_and_the_model(
    trained: Path, tmp_path: Path, share: float
) -> None:
    begun, ended = (RefAdGenPipeline.from_pretrained(trained) for _ in range(2))
    with torch.no_grad():
        for weight in ended.unet.parameters():
            weight.add_(1.0)
    ended.save_pretrained(tmp_path / "ended")
    options = ["--start", str(trained), "--share", str(share)]
    made = exported(tmp_path / "ended", tmp_path / "out", *options)
    for old, new in zip(begun.unet.parameters(), made.unet.parameters(), strict=True):
        assert torch.allclose(new, old + share, atol=2e-3)
    for old, new in zip(begun.vae.parameters(), made.vae.parameters(), strict=True):
        assert torch.allclose(new, old, atol=2e-3)


@pytest.mark.parametrize(
    ("options", "reason"), [(["--share", "1.5"], "share of 1.5"), ([], "text_encoder has other")]
)
def test_a_start_of_another_shape_is_refused(
    trained: Path, tmp_path: Path, options: list[str], reason: str
) -> None:
    build_mini(["velvet"]).save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match=reason):
        exported(trained, tmp_path / "out", "--start", str(tmp_path / "other"), *options)


def test_a_share_of_nothing_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--start"):
        exported(trained, tmp_path / "out", "--share", "0.7")
    assert not (tmp_path / "out").exists()
