"""Where a part of a model comes from: a folder, or an id on the hub."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, snapshot_download

from adloom.errors import ModelError

Source = str | PathLike[str]


def load_part(load: Callable[..., Any], source: Source, subfolder: str = "", **options: Any) -> Any:
    """`load`, a `from_pretrained`, of a folder (of the part itself, or of a pipeline that has it
    in `subfolder`) or of a hub id. ModelError where it cannot be loaded."""
    folder = Path(source)
    try:
        if folder.is_dir():
            inner = folder / subfolder
            return load(inner if inner.is_dir() else folder, **options)
        return load(str(source), subfolder=subfolder, **options)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"cannot be loaded: {error}",
            where=f"{source}/{subfolder}".rstrip("/"),
            hint="give a diffusers-format folder or a hub id that can be reached",
        ) from error


def find_file(source: Source, name: str, **options: Any) -> Path:
    """The file itself, `name` (or the one file so called) in a folder, or `name` at a hub id.

    ModelError where there is none, or where several are called so.
    """
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        return _only(path, name)
    try:
        if "/" in name:
            return Path(hf_hub_download(str(source), name, **options))
        return _only(
            Path(snapshot_download(str(source), allow_patterns=f"*{name}", **options)), name
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"no {name}: {error}",
            where=str(source),
            hint="give the file's path, a folder that holds it, or a hub id that can be reached",
        ) from error


def _only(folder: Path, name: str) -> Path:
    exact = folder / name
    found = [exact] if exact.is_file() else sorted(folder.rglob(Path(name).name))
    if len(found) != 1:
        there = ", ".join(p.relative_to(folder).as_posix() for p in found) or "none"
        raise ModelError(
            f"not one file {Path(name).name} but {there}",
            where=str(folder),
            hint="give the file's own path",
        )
    return found[0]
