"""The ad pictures to build from, and what a captions file says of them."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adloom.errors import NotFoundError, SpecError
from training.adprod.categories import FALLBACK, category_of

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Source:
    """A picture: `path` relative to the pictures' folder, in POSIX form. `product` is the key that
    the split goes by, empty if unknown; so are `category` and `captions`."""

    path: str
    category: str = FALLBACK
    product: str = ""
    captions: tuple[str, ...] = ()


def find_sources(folder: Path, captions: Path | None = None) -> list[Source]:
    """Every picture below `folder`, by path. A picture's category is what the captions file says,
    else its folder's name. Raises NotFoundError for no folder or no picture, SpecError for an
    unusable captions file."""
    if not folder.is_dir():
        raise NotFoundError("no such folder", where=str(folder))
    paths = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.suffix.lower() in SUFFIXES and p.is_file()
    )
    if not paths:
        raise NotFoundError(
            "no picture in this folder",
            where=str(folder),
            hint=f"put pictures there ({', '.join(sorted(SUFFIXES))})",
        )
    told = read_captions(captions) if captions else {}
    return [_source(path, told) for path in paths]


def unknown_pictures(sources: Iterable[Source], captions: Path) -> list[str]:
    """Pictures of the captions file that are not there."""
    names = {s.path for s in sources} | {s.path.rpartition("/")[2] for s in sources}
    return sorted(set(read_captions(captions)) - names)


def _source(path: str, told: Mapping[str, Source]) -> Source:
    parent, _, name = path.rpartition("/")
    row = told.get(path) or told.get(name) or Source(path)
    folders = (category_of(part) for part in reversed(parent.split("/")))
    by_folder = next((c for c in folders if c != FALLBACK), FALLBACK)
    category = row.category if row.category != FALLBACK else by_folder
    return Source(path, category, row.product, row.captions)


def read_captions(path: Path) -> dict[str, Source]:
    """What a captions file says, by its `image` column: a path in the pictures' folder or a name.

    CSV or TSV with a header, or a JSON list of objects: `image`, `caption` (or `captions`: a list
    in JSON, parts by `|` in a table), and if known `category` and `product`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = json.loads(text) if path.suffix.lower() == ".json" else _table(text, path)
    except FileNotFoundError as error:
        raise NotFoundError("no such captions file", where=str(path)) from error
    except (OSError, ValueError, csv.Error) as error:
        raise SpecError(
            f"the captions cannot be read: {error}",
            where=str(path),
            hint="give CSV, TSV or a JSON list with image and caption",
        ) from error
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise SpecError("a list of objects is expected", where=str(path))
    found: dict[str, Source] = {}
    for number, row in enumerate(rows, start=1):
        image = str(row.get("image") or "").strip().replace("\\", "/").removeprefix("./")
        if not image:
            raise SpecError(f"row {number} names no image", where=str(path))
        found[image] = Source(
            image,
            category_of(str(row.get("category") or "")),
            str(row.get("product") or "").strip(),
            _captions(row),
        )
    return found


def _table(text: str, path: Path) -> list[dict[str, Any]]:
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".txt") else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    if "image" not in (reader.fieldnames or ()):
        raise ValueError("there is no column `image`")
    return list(reader)


def _captions(row: Mapping[str, Any]) -> tuple[str, ...]:
    given = row.get("captions") or row.get("caption") or ()
    parts = given.split("|") if isinstance(given, str) else given
    return tuple(str(p).strip() for p in parts if str(p).strip())
