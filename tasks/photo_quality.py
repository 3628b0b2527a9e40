"""The photos of products that have several, scored once each for `photo: best`."""

import structlog

from adloom.errors import AdloomError
from adloom.imaging.encode import decode
from adloom.keys import mask_key, photo_key
from adloom.photo_quality import VERSION, parts_of, photo_score
from db.queries import photo_quality
from models.scoring.photos import photo_signs
from tasks import resident
from tasks.environment import Environment
from tasks.pictures import flatten

log = structlog.get_logger(__name__)
PAGE = 200


def score_missing(env: Environment) -> int:
    """Scores photos among which there is a choice; how many.

    One that cannot be scored is logged and left without a score: it is chosen last.
    """
    done, failed = 0, set[str]()
    detector = resident.text_detector(env.rendering)
    version = f"{VERSION}+{detector.version}"
    while True:
        with env.database.transaction() as tx:
            found = photo_quality.unscored(tx, env.workspace_id, version, limit=PAGE + len(failed))
        page = [photo for photo in found if photo.photo_sha256 not in failed]
        if not page:
            return done
        for photo in page:
            try:
                rgb = flatten(decode(env.store.get(photo_key(env.workspace, photo.photo_sha256))))
                mask = decode(env.store.get(mask_key(env.workspace, photo.mask_sha256)))
            except AdloomError as error:
                if error.retryable or error.of_installation:
                    raise
                failed.add(photo.photo_sha256)
                log.warning("photo not scored", photo=photo.photo_sha256, error=str(error))
                continue
            flat = mask if mask.ndim == 2 else mask[..., 0]
            signs = photo_signs(rgb, flat, photo.confidence, detector)
            with env.database.transaction() as tx:
                photo_quality.put(
                    tx, env.workspace_id, photo,
                    version=version, score=photo_score(signs), parts=parts_of(signs),
                )  # fmt: skip
            done += 1
