"""Masks that users give: one at a time, or a folder of them; every version kept, none changed.

A photo's newest manual mask that is not withdrawn is the one in use. What is planned from then on
is planned with it, so that a campaign renders again exactly what shows that photo.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adloom.catalog import PhotoRole
from adloom.colours import colour_words
from adloom.cutouts import Cutout, MaskOrigin, Photo
from adloom.errors import AdloomError, InvalidInputError, NotFoundError
from adloom.finishing_spec import ImageFormat
from adloom.geometry import Size
from adloom.imaging.encode import decode, encode
from adloom.keys import photo_key
from adloom.records import MaskVersion
from db.queries import catalog, cutouts, photos
from models.segmentation import mask_from_file
from tasks.cutouts import store_mask
from tasks.environment import Environment
from tasks.pictures import flatten, mask_box

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIXES = frozenset({".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})


@dataclass(frozen=True, slots=True)
class RefusedMask:
    """A file of a folder that could not become a mask, and why."""

    file: str
    detail: str


@dataclass(frozen=True, slots=True)
class MasksImported:
    """What came of a folder's files; the three add up to its masks."""

    new: int
    unchanged: int
    refused: tuple[RefusedMask, ...]


def photo_of(env: Environment, source: str, external_id: str, role: str = "main") -> str:
    """The sha256 of a product's photo in a role.

    Raises InvalidInputError for an unknown role, NotFoundError for an unknown product or photo.
    """
    if role not in set(PhotoRole):
        raise InvalidInputError(f"'{role}' is no photo role", hint="main or additional")
    with env.database.transaction() as tx:
        product = catalog.product(tx, env.workspace_id, external_id, source=source)
    found = [p.photo_sha256 for p in product.photos if p.role == role and p.photo_sha256]
    if not found:
        raise NotFoundError(
            f"product '{external_id}' has no {role} photo", hint=f"adloom catalog sync {source}"
        )
    return found[0]


def set_mask(
    env: Environment, photo_sha256: str, content: bytes, *, given_by: str = "", note: str = ""
) -> MaskVersion:
    """Makes an image file's content the mask of a photo, as its next version.

    The same mask again is no new version. Raises NotFoundError for an unknown photo, MaskError for
    a mask of another shape or without a product.
    """
    with env.database.transaction() as tx:
        photo = photos.get(tx, env.workspace_id, photo_sha256)
    cutout = _cutout(env, photo, content)
    with env.database.transaction() as tx:
        return cutouts.add_manual(tx, env.workspace_id, cutout, given_by=given_by, note=note)


def set_mask_file(
    env: Environment,
    source: str,
    external_id: str,
    file: Path,
    *,
    role: str = "main",
    given_by: str = "",
    note: str = "",
) -> MaskVersion:
    """`set_mask` of a file for a product's photo. Raises also InvalidInputError, see `photo_of`."""
    photo = photo_of(env, source, external_id, role)
    return set_mask(env, photo, _content(file), given_by=given_by, note=note)


def history(env: Environment, photo_sha256: str) -> tuple[MaskVersion, ...]:
    """All versions of a photo's manual mask, the oldest first. Raises NotFoundError."""
    with env.database.transaction() as tx:
        photos.get(tx, env.workspace_id, photo_sha256)
        return cutouts.manual_versions(tx, env.workspace_id, photo_sha256)


def revert(
    env: Environment, photo_sha256: str, number: int, *, given_by: str = "", note: str = ""
) -> MaskVersion:
    """Makes an earlier version's mask the current one again, as a new version.

    Raises NotFoundError if there is no such version.
    """
    with env.database.transaction() as tx:
        there = cutouts.manual_versions(tx, env.workspace_id, photo_sha256)
        if not 1 <= number <= len(there):
            raise NotFoundError(
                f"photo {photo_sha256[:12]} has no manual mask {number}",
                hint=f"it has {len(there)}: adloom cutouts history",
            )
        return cutouts.add_manual(
            tx,
            env.workspace_id,
            there[number - 1].cutout,
            given_by=given_by,
            note=note or f"version {number} again",
        )


def withdraw(env: Environment, photo_sha256: str) -> bool:
    """Goes back to the extracted mask. Whether there was a manual one; its versions are kept."""
    with env.database.transaction() as tx:
        photos.get(tx, env.workspace_id, photo_sha256)
        return cutouts.withdraw_manual(tx, env.workspace_id, photo_sha256)


def import_masks(
    env: Environment, source: str, folder: Path, *, given_by: str = "", note: str = ""
) -> MasksImported:
    """Sets the masks of a folder: `PRODUCT.png`, `PRODUCT@additional.png` or `PHOTO-SHA256.png`.

    A file that cannot be used is refused with a reason and stops nothing; a mask that is current
    already is left. Raises NotFoundError for an unknown source, InvalidInputError for no folder.
    """
    if not folder.is_dir():
        raise InvalidInputError("this is no folder", where=str(folder))
    with env.database.transaction() as tx:
        catalog.get_source(tx, env.workspace_id, source)
    new, unchanged, refused = 0, 0, list[RefusedMask]()
    for file in _mask_files(folder):
        try:
            photo = _photo_named(env, source, file.stem)
            before = {v.number for v in history(env, photo)}
            version = set_mask(env, photo, _content(file), given_by=given_by, note=note)
        except AdloomError as error:
            if error.retryable or error.of_installation:
                raise
            refused.append(RefusedMask(file.name, str(error)))
            continue
        new += version.number not in before
        unchanged += version.number in before
    return MasksImported(new, unchanged, tuple(refused))


def _mask_files(folder: Path) -> Iterator[Path]:
    yield from sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES and f.is_file())


def _photo_named(env: Environment, source: str, name: str) -> str:
    if _SHA256.fullmatch(name):
        return name
    external_id, _, role = name.rpartition("@")
    if external_id and role in set(PhotoRole):
        return photo_of(env, source, external_id, role)
    return photo_of(env, source, name)  # an id may hold an @ of its own


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _cutout(env: Environment, photo: Photo, content: bytes) -> Cutout:
    mask = mask_from_file(content, Size(photo.width, photo.height))
    rgb = flatten(decode(env.store.get(photo_key(env.workspace, photo.sha256))))
    return Cutout(
        photo_sha256=photo.sha256,
        mask_sha256=store_mask(env, encode(mask, ImageFormat.PNG)),
        origin=MaskOrigin.MANUAL,
        extractor_version="manual",
        confidence=1.0,
        bbox=mask_box(mask),
        area_fraction=float((mask >= 128).mean()),
        colours=colour_words(rgb, mask),
    )
