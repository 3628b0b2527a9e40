"""A weights folder as files: its hash, its bill of materials, whether it may be used.

Nothing here loads a network, so that a command that only looks starts at once.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from adloom.errors import ModelError
from adloom.weights_bill import (
    BILL_FILE,
    Bill,
    Differences,
    Part,
    WeightsFile,
    differences,
    obstacles,
    parse_bill,
    unreadable,
)

INDEX = "model_index.json"
WEIGHT_SUFFIXES = (".safetensors", ".json", ".txt")
"""Tensors, configurations, and a tokenizer's merges."""
PICKLED_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")


def weights_hash(folder: Path) -> str:
    """sha256 over the files that decide the pixels, each with its path; hex.

    ModelError where the folder holds no pipeline.
    """
    return hash_of_files(weight_files(folder))


def hash_of_files(files: Sequence[WeightsFile]) -> str:
    """The weights hash of files in the order that `weight_files` gives."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.path} {file.sha256}\n".encode())
    return total.hexdigest()


def weight_files(folder: Path) -> tuple[WeightsFile, ...]:
    """The files that decide the pixels, in the order of their paths: the bill is none of them.

    ModelError where the folder holds no pipeline.
    """
    _check_index(folder)
    paths = sorted(p for p in folder.rglob("*") if p.suffix in WEIGHT_SUFFIXES)
    return tuple(_described(folder, p) for p in paths if p != folder / BILL_FILE)


def components(folder: Path) -> tuple[str, ...]:
    """The names of the pipeline's components that have files, by its index.

    ModelError for an index that cannot be read.
    """
    _check_index(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable_index(folder, f"cannot be read: {error}") from error
    if not isinstance(index, dict):
        raise _unusable_index(folder, f"holds {type(index).__name__} instead of components by name")
    return tuple(sorted(name for name in index if (folder / name).is_dir()))


def check_safetensors(folder: Path) -> None:
    """ModelError naming the components whose tensors lie in pickled files alone.

    These are never loaded: they are no part of the weights hash, and a pickle may run code.
    """
    pickled = [
        name
        for name in components(folder)
        if any(p.suffix in PICKLED_SUFFIXES for p in (folder / name).iterdir())
        and not any((folder / name).glob("*.safetensors"))
    ]
    if pickled:
        raise ModelError(
            f"no .safetensors for {', '.join(pickled)}, only pickled files, which are not loaded",
            where=str(folder),
            hint="save it as safetensors: `save_pretrained(…, safe_serialization=True)`",
        )


def read_bill(folder: Path) -> Bill | None:
    """The folder's bill; None where there is none. ModelError for one that cannot be read."""
    path = folder / BILL_FILE
    if not path.is_file():
        return None
    try:
        written = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(str(path), error) from error
    return parse_bill(written, str(path))


def write_bill(folder: Path, parts: Sequence[Part], name: str | None = None) -> Bill:
    """States what the folder's files are. ModelError where a part names no component of it."""
    there = components(folder)
    unknown = sorted({c for part in parts for c in part.components} - set(there))
    if unknown:
        raise ModelError(
            f"no component {', '.join(unknown)}",
            where=str(folder),
            hint=f"there are: {', '.join(there)}",
        )
    bill = Bill(name or folder.name, tuple(parts), weight_files(folder))
    (folder / BILL_FILE).write_text(bill.to_json(), encoding="utf-8")
    return bill


def verify(folder: Path) -> Differences:
    """How the folder's files differ from its bill; ModelError where it has none."""
    bill = read_bill(folder)
    if bill is None:
        raise ModelError(
            "no bill of materials to verify by",
            where=str(folder / BILL_FILE),
            hint="write one with `adloom weights declare`",
        )
    return differences(bill, weight_files(folder))


def check_licence(folder: Path, noncommercial_allowed: bool) -> None:
    """ModelError where a part's licence forbids commercial use or is unstated, unless allowed."""
    if noncommercial_allowed:
        return
    lines = obstacles(read_bill(folder), components(folder))
    if lines:
        raise ModelError(
            f"not known to be free for commercial use: {'; '.join(lines)}",
            where=str(folder),
            hint="state origin and licence with `adloom weights declare`, or set "
            "ADLOOM_ALLOW_NONCOMMERCIAL_WEIGHTS=true for uses that are not commercial",
        )


def check_billed(folder: Path, loaded_hash: str, noncommercial_allowed: bool) -> None:
    """ModelError where the weights that were loaded are not those whose licence the bill states,
    unless any licence is allowed."""
    bill = None if noncommercial_allowed else read_bill(folder)
    if bill is None or hash_of_files(bill.files) == loaded_hash:
        return
    raise ModelError(
        f"the weights are {loaded_hash[:12]}; the bill states the licence of "
        f"{hash_of_files(bill.files)[:12]}",
        where=str(folder),
        hint=f"see what differs with `adloom weights verify {folder.name}`, then state what these "
        "are with `adloom weights declare`",
    )


def _check_index(folder: Path) -> None:
    if not (folder / INDEX).is_file():
        raise ModelError(f"no {INDEX}", where=str(folder), hint="give a diffusers-format folder")


def _unusable_index(folder: Path, message: str) -> ModelError:
    return ModelError(message, where=str(folder / INDEX), hint="get the folder again")


def _described(folder: Path, path: Path) -> WeightsFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return WeightsFile(path.relative_to(folder).as_posix(), digest, path.stat().st_size)
