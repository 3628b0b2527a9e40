"""What became of each picture: one small JSON file a picture, written when all else of it is."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.adprod.files import write_atomically
from training.adprod.filters import Reason

FOLDER = "records"


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """A variant that was written: its file names, what it is, and a novel view's gaps (shares)."""

    picture: str
    mask: str
    kind: str
    turn_deg: tuple[float, float] = (0.0, 0.0)
    filled: float = 0.0
    open: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A picture of the input: accepted (no `reason`), or left out. `stamp` tells whether the file
    is still the one that was looked at (its size and time of change)."""

    path: str
    stamp: str
    sha256: str
    name: str
    category: str
    product: str
    captions: tuple[str, ...] = ()
    reason: Reason | None = None
    detail: str = ""
    confidence: float = 0.0
    area: float = 0.0
    variants: tuple[VariantRecord, ...] = field(default=())

    @property
    def accepted(self) -> bool:
        return self.reason is None


def record_path(out: Path, path: str) -> Path:
    key = hashlib.sha256(path.encode()).hexdigest()[:24]
    return out / FOLDER / key[:2] / f"{key}.json"


def write_record(out: Path, record: ImageRecord) -> None:
    text = json.dumps(asdict(record), ensure_ascii=False, indent=1)
    write_atomically(record_path(out, record.path), text.encode())


def read_record(out: Path, path: str) -> ImageRecord | None:
    """None if the picture was not finished; a record that cannot be read counts as none."""
    try:
        return _record(json.loads(record_path(out, path).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _record(content: Mapping[str, Any]) -> ImageRecord:
    variants = tuple(
        VariantRecord(**{**v, "turn_deg": tuple(v["turn_deg"])}) for v in content["variants"]
    )
    reason = Reason(content["reason"]) if content["reason"] else None
    return ImageRecord(
        **{
            **content,
            "captions": tuple(content["captions"]),
            "reason": reason,
            "variants": variants,
        }
    )


def read_records(out: Path, paths: list[str]) -> Iterator[ImageRecord]:
    """The records of the pictures given, in their order."""
    for path in paths:
        if (record := read_record(out, path)) is not None:
            yield record
