"""Product masks: extracted once per photo and extractor version."""

import hashlib
from dataclasses import dataclass

import structlog

from adloom.colours import colour_words
from adloom.cutouts import Cutout, Photo
from adloom.errors import MaskError, as_render_error
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.keys import mask_key, photo_key
from db.queries import cutouts
from models.segmentation import Extractor
from tasks import resident
from tasks.environment import Environment
from tasks.pictures import flatten, mask_box

log = structlog.get_logger(__name__)
DOUBTFUL = 0.5


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
        categories = cutouts.categories_of(tx, env.workspace_id, [p.sha256 for p in todo])
    extracted = doubtful = failed = 0
    for photo in todo:
        try:
            cutout = _extract(env, photo, extractor, categories.get(photo.sha256, ""))
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


def _extract(env: Environment, photo: Photo, extractor: Extractor, category: str) -> Cutout:
    picture = decode(env.store.get(photo_key(env.workspace, photo.sha256)))
    found = extractor.extract(picture if picture.ndim == 3 else flatten(picture), category)
    if found.bbox.width < 1:
        raise MaskError("no product was found in the photo", hint="give a mask: adloom cutouts set")
    rgb = flatten(picture)
    return Cutout(
        photo_sha256=photo.sha256,
        mask_sha256=store_mask(env, encode(found.mask, ImageFormat.PNG)),
        origin=found.origin,
        extractor_version=extractor.version,
        confidence=found.confidence,
        bbox=mask_box(found.mask),
        area_fraction=found.area_fraction,
        colours=colour_words(rgb, found.mask),
    )


def store_mask(env: Environment, content: bytes) -> str:
    """Puts a mask's file into the store; its sha256."""
    sha256 = hashlib.sha256(content).hexdigest()
    env.store.put(mask_key(env.workspace, sha256), content, content_type=ImageFormat.PNG.media_type)
    return sha256
