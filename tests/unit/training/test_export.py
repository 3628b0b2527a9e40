"""Weights in the form that they are shipped in."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from adloom.errors import ModelError
from adloom.weights_bill import BILL_FILE
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.regions import Regions
from training.__main__ import app

OWN = {"noise_scale": 0.9, "product_noise_scale": 0.8}


def exported(tmp_path: Path, *options: str) -> RefAdGenPipeline:
    trained = build_mini(["a", "red", "bottle"])
    trained.register_to_config(**OWN)
    trained.save_pretrained(tmp_path / "trained")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / BILL_FILE).write_text("{}")  # of what lay there before
    asked = ["export", str(tmp_path / "trained"), str(tmp_path / "out"), *options]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return RefAdGenPipeline.from_pretrained(tmp_path / "out")


def test_a_models_own_regions_are_kept(tmp_path: Path) -> None:
    assert exported(tmp_path).regions == Regions(noise=0.9, product_noise=0.8)
    assert not (tmp_path / "out" / BILL_FILE).exists()


def test_regions_are_what_is_asked_for(tmp_path: Path) -> None:
    made = exported(
        tmp_path, "--product-guidance", "0.2", "--scene-eta", "0.6", "--noise-scale", "1"
    )
    assert made.regions == Regions(1.0, 0.8, product_guidance=0.2, scene_eta=0.6)
    assert made.guidance(6.0).product_share == 0.2


def test_regions_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="scene_eta 2"):
        exported(tmp_path, "--scene-eta", "2")


def test_with_a_licence_it_has_a_bill(tmp_path: Path) -> None:
    exported(tmp_path, "--licence", "Apache-2.0")
    assert "Apache-2.0" in (tmp_path / "out" / BILL_FILE).read_text()
