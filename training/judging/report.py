"""An evaluation as JSON, a table and a sheet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.errors import MaskError
from adloom.finishing_spec import DetailLock, FinishingSpec
from adloom.imaging.finishing import finish
from models.segmentation import MaskExtractor
from models.segmentation.measures import bounding_box
from training.adprod.files import write_atomically
from training.judging.heldout import Truth, box_in_frame, canvas_growth, outline_of
from training.judging.statistics import Interval
from training.sheets import write_rows

Picture = NDArray[np.uint8]
Columns = Mapping[str, Mapping[str, Interval]]


def table(columns: Columns) -> str:
    """Markdown: a line per measure, a column per contender."""
    names = list(dict.fromkeys(m for column in columns.values() for m in column))
    head = f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"
    lines = [
        f"| {name} | " + " | ".join(str(c[name]) if name in c else "–" for c in columns.values())
        + " |"
        for name in names
    ]  # fmt: skip
    return "\n".join([head, *lines]) + "\n"


def write_report(out: Path, columns: Columns, facts: Mapping[str, Any]) -> str:
    """`evaluation.json` and `evaluation.md` in `out`; the table."""
    content = {
        **facts,
        "measures": {
            name: {m: asdict(interval) for m, interval in column.items()}
            for name, column in columns.items()
        },
    }
    write_atomically(out / "evaluation.json", (json.dumps(content, indent=1) + "\n").encode())
    written = table(columns)
    write_atomically(out / "evaluation.md", written.encode())
    return written


def write_comparison(
    out: Path, truths: Sequence[Truth], renders: Sequence[Picture], extractor: MaskExtractor
) -> None:
    """reference | true ad | raw | finished, a row each."""
    rows = [
        [t.reference, t.ad, raw, finished(raw, t, extractor)[0]]
        for t, raw in zip(truths, renders, strict=True)
    ]
    write_rows(rows, out, columns=2)


def finished(raw: Picture, truth: Truth, extractor: MaskExtractor) -> tuple[Picture, bool]:
    """The render after detail lock with the reference picture on a canvas of a delivered size,
    brought back to its own size, and whether the lock was applied: it is refused where the render
    shows no such product at its place."""
    photo = truth.reference
    mask = outline_of(truth)
    height, width = raw.shape[:2]
    grown = canvas_growth(height, width)
    spec = FinishingSpec(grown * width, grown * height, detail_lock=True)
    try:
        bbox = bounding_box(mask)
        made = finish(
            raw, extractor.extract(raw).mask, photo, mask, bbox, box_in_frame(truth, bbox), spec
        )
    except MaskError:
        return raw, False
    small = cv2.resize(made.image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), made.detail_lock is DetailLock.APPLIED
