"""What a build found: counts per filter, category and split, and a sheet to look at."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.adprod.annotations import AD_FOLDER, MASK_FOLDER, PRODUCT_FOLDER
from training.adprod.files import write_atomically, write_png
from training.adprod.filters import Reason
from training.adprod.records import ImageRecord
from training.adprod.splitting import SPLITS, split_of

EXAMPLES = 12
CELL_PX = 144


@dataclass(frozen=True, slots=True)
class Report:
    """Counts over the pictures of a build; they add up: pictures = accepted + left out.

    `left_out` by reason, `failures` the first of those that were unreadable or failed, each with
    its path; `categories` accepted pictures; `splits` products, pictures and triplets; `variants`
    by kind; `views` the novel views' gaps; `unknown` pictures that only the captions file knows.
    """

    pictures: int
    accepted: int
    left_out: dict[str, int]
    categories: dict[str, int]
    splits: dict[str, dict[str, int]]
    variants: dict[str, int]
    views: dict[str, float]
    failures: tuple[str, ...]
    unknown: tuple[str, ...]
    settings: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        records: Sequence[ImageRecord],
        settings: Mapping[str, Any],
        unknown: Sequence[str] = (),
    ) -> "Report":
        accepted = [r for r in records if r.accepted]
        reasons = Counter(r.reason for r in records if r.reason is not None)
        variants = [v for r in accepted for v in r.variants]
        novel = [v for v in variants if v.mask.endswith("_gs.npy")]
        bad = (Reason.UNREADABLE, Reason.FAILED)
        return cls(
            len(records),
            len(accepted),
            {str(reason): reasons[reason] for reason in Reason if reasons[reason]},
            dict(sorted(Counter(r.category for r in accepted).items())),
            {split: _split_counts(accepted, split) for split in SPLITS},
            dict(sorted(Counter(v.kind for v in variants).items())),
            _gaps([v.filled for v in novel], [v.open for v in novel]),
            tuple(f"{r.path}: {r.detail}" for r in records if r.reason in bad)[:50],
            tuple(unknown)[:50],
            settings,
        )


def _split_counts(accepted: Sequence[ImageRecord], split: str) -> dict[str, int]:
    chosen = [r for r in accepted if split_of(r.product) == split]
    return {
        "products": len({r.product for r in chosen}),
        "pictures": len(chosen),
        "triplets": sum(len(r.variants) for r in chosen),
    }


def _gaps(filled: Sequence[float], left: Sequence[float]) -> dict[str, float]:
    if not filled:
        return {}
    return {
        "mean_filled": round(float(np.mean(filled)), 5),
        "most_filled": max(filled),
        "most_open": max(left),
    }


def write_report(out: Path, report: Report, records: Sequence[ImageRecord]) -> None:
    """report.json, report.md and examples.png."""
    text = json.dumps(asdict(report), ensure_ascii=False, indent=1)
    write_atomically(out / "report.json", f"{text}\n".encode())
    write_atomically(out / "report.md", as_markdown(report).encode())
    if (sheet := example_sheet(out, records)) is not None:
        write_png(out / "examples.png", sheet)


def as_markdown(report: Report) -> str:
    lines = ["# AdProd build", "", f"{report.accepted} of {report.pictures} pictures accepted.", ""]
    lines += _table(("left out because", "pictures"), report.left_out.items())
    lines += _table(("category", "pictures"), report.categories.items())
    lines += _table(
        ("split", "products", "pictures", "triplets"),
        ((name, *counts.values()) for name, counts in report.splits.items()),
    )
    lines += _table(("variant", "count"), report.variants.items())
    lines += _table(("novel views", "share of the product"), report.views.items())
    for title, entries in (("Unusable", report.failures), ("Not found", report.unknown)):
        if entries:
            lines += [f"## {title}", "", *(f"- {e}" for e in entries), ""]
    used = {k: v for k, v in report.settings.items() if isinstance(v, str)}
    lines += _table(("made with", ""), used.items())
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Any) -> list[str]:
    body = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    if not body:
        return []
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body, ""]


def example_sheet(out: Path, records: Sequence[ImageRecord]) -> NDArray[np.uint8] | None:
    """Ad | mask | variants of a few accepted pictures, chosen by hash; None if there is none."""
    chosen = sorted((r for r in records if r.accepted), key=lambda r: r.sha256)[:EXAMPLES]
    if not chosen:
        return None
    rows = [np.concatenate(_cells(out, record), axis=1) for record in chosen]
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows
    ]
    return np.concatenate(padded)


def _cells(out: Path, record: ImageRecord) -> list[NDArray[np.uint8]]:
    mask = np.load(out / MASK_FOLDER / f"{record.name}.npy", allow_pickle=False)
    pictures = [out / AD_FOLDER / f"{record.name}.png"]
    pictures += [out / PRODUCT_FOLDER / v.picture for v in record.variants]
    read = [np.asarray(Image.open(p).convert("RGB")) for p in pictures]
    return [_cell(p) for p in (read[0], np.repeat(mask[..., None], 3, 2), *read[1:])]


def _cell(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in a white square with a hairline of room."""
    scale = (CELL_PX - 4) / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cell = np.full((CELL_PX, CELL_PX, 3), 255, np.uint8)
    y, x = ((CELL_PX - n) // 2 for n in small.shape[:2])
    cell[y : y + small.shape[0], x : x + small.shape[1]] = small
    return cell
