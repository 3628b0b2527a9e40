"""Sheets of products in six scenes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from adloom.errors import ModelError
from adloom.render_spec import Sampler
from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.training.judging.test_evaluation import samples
from training.__main__ import app
from training.judging import showcase as sheets

MINI = Path(__file__).parents[4] / "weights" / "mini"


def photos(folder: Path, count: int) -> None:
    for part in ("images", "alphas"):
        (folder / part).mkdir(parents=True)
    for k in range(count):
        photo = np.full((80, 60, 3), 240, np.uint8)
        alpha = np.zeros((80, 60), np.uint8)
        photo[20:60, 15:45], alpha[20:60, 15:45] = (30 * k, 90, 200), 255
        cv2.imwrite(str(folder / "images" / f"{k}.jpg"), photo)
        cv2.imwrite(str(folder / "alphas" / f"{k}.png"), alpha)


@pytest.mark.parametrize(("source", "steps"), [("samples", 1), ("photos", 4)])
def test_a_product_has_six_scenes_raw_and_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, steps: int
) -> None:
    monkeypatch.setattr(sheets, "SAMPLER", Sampler(steps=steps))
    if source == "samples":
        small_pipeline().save_pretrained(tmp_path / "model")
        model, given = tmp_path / "model", ["--samples", str(samples(tmp_path / "held", 4, 1))]
    else:
        photos(tmp_path / "shop", 1)
        model, given = MINI, ["--photos", str(tmp_path / "shop/images"), "--alphas",
                              str(tmp_path / "shop/alphas")]  # fmt: skip
    out = tmp_path / "sheet.png"
    command = ["showcase", str(model), str(out), *given, "--count", "1"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    sheet = cv2.imread(str(out))
    assert sheet is not None
    height, width = sheet.shape[:2]
    assert width > 6.5 * height / 2, "a reference and six scenes"
    raw, finished = sheet[: height // 2], sheet[height // 2 :]
    assert (finished[:, : height // 2 - 8] == 255).all(), "the photo is shown once"
    if model == MINI:  # a small random one draws no product for detail lock to be laid on
        assert (np.abs(raw.astype(int) - finished)[:, height // 2 :] > 8).mean() > 0.02


def test_each_product_is_rendered_by_its_own_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "SAMPLER", Sampler(steps=1))
    photos(tmp_path, 2)
    products = sheets.products_of_photos(tmp_path / "images", tmp_path / "alphas", 2)
    small_pipeline().save_pretrained(tmp_path / "model")
    sheets.write_showcase(tmp_path / "model", tmp_path / "sheet.png", products)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    line = sheet.shape[0] // 4
    first, second = sheet[:line, line:], sheet[2 * line : 3 * line, line:]
    assert not np.array_equal(first, second), "same seeds and masks, another product"


def test_photos_without_a_mask_or_with_an_empty_one_are_named(tmp_path: Path) -> None:
    photos(tmp_path, 1)
    with pytest.raises(ModelError, match="no photo has a mask"):
        sheets.products_of_photos(tmp_path / "images", tmp_path / "images", 3)
    cv2.imwrite(str(tmp_path / "alphas" / "0.png"), np.zeros((80, 60), np.uint8))
    with pytest.raises(ModelError, match="a product in every mask"):
        sheets.products_of_photos(tmp_path / "images", tmp_path / "alphas", 3)


def test_it_asks_for_products_of_one_kind(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["showcase", str(tmp_path), str(tmp_path / "x.png")])
    assert result.exit_code == 2
