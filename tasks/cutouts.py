"""Product masks: extracted once per photo and extractor version, or given by the user."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from adloom.catalog import PhotoRole
from adloom.colours import colour_words
from adloom.cutouts import Cutout, MaskOrigin, Photo
from adloom.errors import InvalidInputError, MaskError, NotFoundError, as_render_error
from adloom.finishing_spec import ImageFormat
from adloom.geometry import Size
from adloom.imaging.encode import decode, encode
from adloom.keys import mask_key, photo_key
from db.queries import catalog, cutouts, photos
from models.segmentation import MaskExtractor, mask_from_file
from tasks import resident
from tasks.environment import Environment
from tasks.pictures import flatten, mask_box

log = structlog.get_logger(__name__)
DOUBTFUL = 0.5
MANUAL_VERSION = "manual-1"


@dataclass(frozen=True, slots=True)
class CutoutsReport:
    extracted: int = 0
    doubtful: int = 0
    failed: int = 0


def extract_missing(env: Environment, *, limit: int | None = None) -> CutoutsReport:
    """Extracts the masks of photos that have none of this extractor's version yet.

    A photo that defeats the extractor is recorded with a reason and stops nothing.
    """
    extractor = resident.extractor(env.rendering)
    with env.database.transaction() as tx:
        todo = cutouts.photos_without_cutout(tx, env.workspace_id, extractor.version, limit=limit)
    extracted = doubtful = failed = 0
    for photo in todo:
        try:
            cutout = _extract(env, photo, extractor)
        except Exception as caught:
            error = as_render_error(caught)
            if error.retryable or error.of_installation:
                raise error from caught
            failed += 1
            with env.database.transaction() as tx:
                cutouts.record_problem(
                    tx, env.workspace_id, photo.sha256, extractor.version,
                    error.error_class, str(error),
                )  # fmt: skip
            log.warning("no cutout", photo=photo.sha256, error=str(error))
            continue
        with env.database.transaction() as tx:
            cutouts.upsert(tx, env.workspace_id, [cutout])
        extracted += 1
        doubtful += cutout.confidence < DOUBTFUL
    return CutoutsReport(extracted, doubtful, failed)


def _extract(env: Environment, photo: Photo, extractor: MaskExtractor) -> Cutout:
    picture = decode(env.store.get(photo_key(env.workspace, photo.sha256)))
    found = extractor.extract(picture if picture.ndim == 3 else flatten(picture))
    if found.bbox.width < 1:
        raise MaskError(
            "no product was found in the photo", hint="give a mask: adloom catalog mask"
        )
    rgb = flatten(picture)
    return Cutout(
        photo_sha256=photo.sha256,
        mask_sha256=_store_mask(env, encode(found.mask, ImageFormat.PNG)),
        origin=found.origin,
        extractor_version=extractor.version,
        confidence=found.confidence,
        bbox=mask_box(found.mask),
        area_fraction=found.area_fraction,
        colours=colour_words(rgb, found.mask),
    )


def _store_mask(env: Environment, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    env.store.put(mask_key(env.workspace, sha256), content, content_type=ImageFormat.PNG.media_type)
    return sha256


def set_mask(
    env: Environment, source: str, external_id: str, file: Path, *, role: str = "main"
) -> Cutout:
    """Makes a user's mask file the current mask of a product's photo.

    Raises NotFoundError for an unknown product or photo, MaskError for a mask of another size or
    without a product, InvalidInputError for a file that cannot be read.
    """
    if role not in set(PhotoRole):
        raise InvalidInputError(f"'{role}' is no photo role", hint="main or additional")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"cannot be read: {error.strerror}", where=str(file)) from error
    with env.database.transaction() as tx:
        product = catalog.product(tx, env.workspace_id, external_id, source=source)
        found = [p.photo_sha256 for p in product.photos if p.role == role and p.photo_sha256]
        if not found:
            raise NotFoundError(
                f"product '{external_id}' has no {role} photo", hint=f"adloom catalog sync {source}"
            )
        photo = photos.get(tx, env.workspace_id, found[0])
    mask = mask_from_file(content, Size(photo.width, photo.height))
    rgb = flatten(decode(env.store.get(photo_key(env.workspace, photo.sha256))))
    cutout = Cutout(
        photo_sha256=photo.sha256,
        mask_sha256=_store_mask(env, encode(mask, ImageFormat.PNG)),
        origin=MaskOrigin.MANUAL,
        extractor_version=MANUAL_VERSION,
        confidence=1.0,
        bbox=mask_box(mask),
        area_fraction=float((mask >= 128).mean()),
        colours=colour_words(rgb, mask),
    )
    with env.database.transaction() as tx:
        cutouts.upsert(tx, env.workspace_id, [cutout])
    return cutout
