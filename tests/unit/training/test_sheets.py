"""Sheets of pictures of several sizes."""

from pathlib import Path

import cv2
import numpy as np

from training.sheets import write_rows


def test_rows_of_several_proportions_stand_below_each_other(tmp_path: Path) -> None:
    wide, tall = np.full((96, 176, 3), 10, np.uint8), np.full((176, 96, 3), 20, np.uint8)
    write_rows([[wide, tall], [tall, tall], [wide, wide]], tmp_path / "sheet.png", columns=2)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert (sheet[10, 10] == 10).all(), "the first row's wide picture"
    assert (sheet[-30, 10] == 20).all(), "the second row below it"
    assert (sheet[-30, 235] == 255).all(), "white where the second row ends"
