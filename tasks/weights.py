"""Weights on disk: listed, verified, declared, and imported from the authors' release."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adloom.errors import ConflictError, ModelError
from adloom.weights_bill import (
    KNOWN_LICENCES,
    Bill,
    Differences,
    Part,
    differences,
    obstacles,
)
from models.refadgen.weights import (
    INDEX,
    components,
    hash_of_files,
    read_bill,
    verify,
    weight_files,
    write_bill,
)
from tasks.resident import weights_path


@dataclass(frozen=True, slots=True)
class WeightsShown:
    """A weights folder; its hash is that of the files as they are. `obstacles`: why it may not be
    used commercially; empty: it may."""

    name: str
    path: str
    weights_hash: str
    size_bytes: int
    parts: tuple[Part, ...]
    obstacles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """A weights folder against its bill."""

    name: str
    weights_hash: str
    files: int
    differences: Differences

    @property
    def holds(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True)
class Release:
    """A checkpoint of the authors' layout, and where the parts it lacks come from: each a path or
    a hub id. `licence`: of the checkpoint itself, if it is known."""

    checkpoint: str
    base: str
    text_encoder: str
    vae: str
    image_encoder: str
    licence: str | None = None


def list_weights(root: Path) -> tuple[WeightsShown, ...]:
    """The folders below the weights' root. Every file is hashed: some seconds for each GB.

    A bill that cannot be read, or is of other files, is an obstacle of its own folder."""
    return tuple(_shown(index.parent) for index in sorted(root.glob(f"*/{INDEX}")))


def verify_weights(model: str, root: Path) -> Verified:
    """Hashes every file and compares it with the bill; ModelError where there is none."""
    path = weights_path(model, root)
    found = verify(path)
    files = weight_files(path)
    return Verified(path.name, hash_of_files(files), len(files), found)


def declare_weights(
    model: str,
    root: Path,
    *,
    origin: str,
    licence: str | None,
    commercial_use: bool | None = None,
    only: Sequence[str] = (),
) -> WeightsShown:
    """States where components come from and under which licence, on the folder's bill.

    `only`: these components, all others stay as they were; empty: all of them. A bill that cannot
    be read counts as none. Raises ModelError for a component that the folder lacks.
    """
    path = weights_path(model, root)
    stated = tuple(only) or components(path)
    part = Part(stated, origin, licence, commercial_use)
    try:
        before = read_bill(path)
    except ModelError:
        before = None  # it is what this declaration mends
    write_bill(path, (*_without(before, stated), part))
    return _shown(path)


def import_release(release: Release, out: Path, dtype: str, *, offline: bool) -> WeightsShown:
    """The authors' checkpoint as a diffusers-format folder `out` with its bill.

    Raises ConflictError where `out` is not empty, ModelError and CheckpointError for what cannot
    be read or does not fit.
    """
    from models.refadgen.conversion.released import Sources, export_released

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConflictError("is there already", where=str(out), hint="name a new folder")
    sources = Sources(release.base, release.text_encoder, release.vae, release.image_encoder)
    export_released(release.checkpoint, sources, out, dtype, offline)
    write_bill(out, _parts(release, components(out)))
    return _shown(out)


def _parts(release: Release, there: Sequence[str]) -> tuple[Part, ...]:
    """Each component's origin, and its licence as far as it is known."""
    borrowed = {
        "text_encoder": release.text_encoder,
        "tokenizer": release.base,
        "vae": release.vae,
        "image_encoder": release.image_encoder,
    }
    trained = tuple(name for name in there if name not in borrowed)
    return (
        Part(trained, release.checkpoint, release.licence),
        *(Part((n,), o, KNOWN_LICENCES.get(o)) for n, o in borrowed.items() if n in there),
    )


def _without(bill: Bill | None, stated: Sequence[str]) -> tuple[Part, ...]:
    """The bill's parts, these components taken out."""
    left = [
        Part(kept, p.origin, p.licence, p.commercial_use)
        for p in (bill.parts if bill else ())
        if (kept := tuple(c for c in p.components if c not in stated))
    ]
    return tuple(left)


def _shown(folder: Path) -> WeightsShown:
    files = weight_files(folder)
    try:
        bill = read_bill(folder)
        found = obstacles(bill, components(folder))
        if bill and differences(bill, files):
            found = (
                *found,
                f"files are not those on the bill: adloom weights verify {folder.name}",
            )
    except ModelError as error:
        bill, found = None, (str(error),)
    return WeightsShown(
        name=folder.name,
        path=str(folder),
        weights_hash=hash_of_files(files),
        size_bytes=sum(f.size_bytes for f in files),
        parts=bill.parts if bill else (),
        obstacles=found,
    )
