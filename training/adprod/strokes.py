"""Text beside a product, found by its strokes, where no text detection network is installed.

Letters are small parts of high contrast and even stroke width that stand in a line. Seen: printed
words of three letters or more. Missed: script, single large letters, text on busy ground. Taken for
text: fences, keyboards, rows of windows.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.imaging.arrays import luma

SIDE_PX = 640
LEAST_LETTERS: Final = 3


class StrokeTextDetector:
    """Finds words by their strokes; no network."""

    version = "strokes-1"

    def share_beside(self, rgb: NDArray[np.uint8], product: NDArray[np.bool_]) -> float:
        """The share of a picture (H, W, 3) that is text beside its product (H, W)."""
        scale = min(1.0, SIDE_PX / max(rgb.shape[:2]))
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        light = luma(np.asarray(small, np.uint8)).clip(0, 255).astype(np.uint8)
        size = (light.shape[1], light.shape[0])
        on = cv2.resize(product.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        on = cv2.dilate(on, np.ones((9, 9), np.uint8)) > 0
        found = np.zeros(light.shape, bool)
        for picture in (light, 255 - light):
            for x, y, width, height in _words(picture):
                box = np.s_[y : y + height, x : x + width]
                if on[box].mean() < 0.2:
                    found[box] = True
        return float(found.mean())


def _words(light: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """Boxes (x, y, w, h) of rows of letters that are brighter than their ground."""
    hat = cv2.morphologyEx(light, cv2.MORPH_TOPHAT, np.ones((17, 17), np.uint8))
    _, ink = cv2.threshold(hat, 60, 255, cv2.THRESH_BINARY)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink)
    parts = np.asarray(labels, np.int32), np.asarray(stats, np.int32)
    letters = [i for i in range(1, len(stats)) if _is_letter(i, *parts)]
    boxes = [tuple(int(v) for v in stats[i][:4]) for i in letters]
    rows: list[list[tuple[int, ...]]] = []
    for box in sorted(boxes):
        row = next((r for r in rows if _continues(r[-1], box)), None)
        rows.append([box]) if row is None else row.append(box)
    return [_around(row) for row in rows if len(row) >= LEAST_LETTERS]


def _is_letter(number: int, labels: NDArray[np.integer], stats: NDArray[np.integer]) -> bool:
    x, y, width, height, area = (int(v) for v in stats[number])
    if not (
        6 <= height <= 80 and 2 <= width <= 1.6 * height and 0.15 < area / (width * height) < 0.9
    ):
        return False
    part = np.pad((labels[y : y + height, x : x + width] == number).astype(np.uint8), 1)
    thickness = cv2.distanceTransform(part, cv2.DIST_L2, 3)
    ridge = thickness[(thickness > 0) & (thickness == cv2.dilate(thickness, np.ones((3, 3))))]
    return bool(ridge.std() < 0.6 * ridge.mean() and ridge.max() < 0.3 * height)


def _continues(last: tuple[int, ...], box: tuple[int, ...]) -> bool:
    """Whether a box stands right of another in the same line."""
    x, y, width, height = last
    gap = box[0] - (x + width)
    overlap = min(y + height, box[1] + box[3]) - max(y, box[1])
    near = -1 <= gap <= 0.9 * max(height, box[3])
    return near and overlap > 0.5 * min(height, box[3]) and 0.4 < box[3] / height < 2.5


def _around(row: list[tuple[int, ...]]) -> tuple[int, int, int, int]:
    left, top = min(b[0] for b in row), min(b[1] for b in row)
    right, bottom = max(b[0] + b[2] for b in row), max(b[1] + b[3] for b in row)
    return left, top, right - left, bottom - top
