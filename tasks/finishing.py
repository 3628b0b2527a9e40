"""From a raw render to a finished, scored, stored rendition."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adloom.errors import AdloomError, LeaseLostError, as_render_error
from adloom.finishing_spec import FinishingSpec
from adloom.geometry import Size, cover
from adloom.imaging.encode import decode, encode
from adloom.imaging.finishing import Finished, finish
from adloom.imaging.views import own_mask
from adloom.keys import rendition_key
from adloom.records import FinishWork, Lease, Rendition, RunLease
from adloom.render_spec import RenderSpec
from db.queries import renditions, scores
from models.scoring.scorer import Scorer
from models.segmentation import MaskExtractor
from tasks import resident
from tasks.environment import Environment
from tasks.pictures import ProductPicture, ProductPictures


@dataclass(frozen=True, slots=True)
class Finisher:
    """What finishing needs: pictures, models, and where results go."""

    env: Environment
    pictures: ProductPictures
    extractor: MaskExtractor
    scorer: Scorer

    @classmethod
    def of(cls, env: Environment) -> "Finisher":
        return cls(
            env,
            ProductPictures(env.store, env.workspace),
            resident.extractor(env.rendering),
            resident.scorer(env.rendering),
        )

    def finish(
        self,
        render_id: int,
        spec: RenderSpec,
        raw: NDArray[np.uint8],
        finishings: tuple[FinishingSpec, ...],
        *,
        lease: Lease | RunLease,
    ) -> None:
        """Scores the raw render, then makes, scores and stores each rendition asked for.

        A finishing that fails is recorded on the render with its error class; the others go on.
        Raises LeaseLostError, and what the database or the object store raise when unavailable.
        """
        try:
            product = self.pictures.get(spec.photo_sha256, spec.mask_sha256)
            shown = own_mask(raw, spec.product_box, lambda r: self.extractor.extract(r).mask)
            model = self.scorer.score_render(
                raw, product.rgb, product.mask, product.bbox, spec.product_box, shown
            )
            with self.env.database.transaction() as tx:
                scores.put(tx, render_id, model, finish_hash=None, lease=lease)
        except Exception as error:
            self.record_unless_transient(render_id, finishings, error, lease)
            return
        for finishing in finishings:
            try:
                self._rendition(render_id, spec, raw, shown, product, finishing, lease)
            except Exception as error:
                self.record_unless_transient(render_id, (finishing,), error, lease)

    def record_unless_transient(
        self,
        render_id: int,
        finishings: tuple[FinishingSpec, ...],
        caught: Exception,
        lease: Lease | RunLease,
    ) -> None:
        """One picture that cannot be finished stops no other; an outage or a lost lease does."""
        error = as_render_error(caught)
        if error.retryable or error.of_installation or isinstance(error, LeaseLostError):
            raise error from caught
        for finishing in finishings:
            self._record(render_id, finishing, error, lease)

    def _rendition(
        self,
        render_id: int,
        spec: RenderSpec,
        raw: NDArray[np.uint8],
        shown: NDArray[np.uint8],
        product: ProductPicture,
        finishing: FinishingSpec,
        lease: Lease | RunLease,
    ) -> None:
        done = finish(
            raw, shown, product.rgb, product.mask, product.bbox, spec.product_box, finishing
        )
        canvas = Size(finishing.canvas_width, finishing.canvas_height)
        box = cover(spec.native, canvas).to_canvas(spec.product_box)
        final = self.scorer.score_final(done.image, product.rgb, product.mask, product.bbox, box)
        content = encode(done.image, finishing.encoding, finishing.quality)
        rendition = self._store(render_id, finishing, done, content)
        with self.env.database.transaction() as tx:
            renditions.put(tx, self.env.workspace_id, rendition, lease=lease)
            scores.put(tx, render_id, final, finish_hash=finishing.finish_hash, lease=lease)

    def _store(
        self, render_id: int, finishing: FinishingSpec, done: Finished, content: bytes
    ) -> Rendition:
        sha256 = hashlib.sha256(content).hexdigest()
        key = rendition_key(self.env.workspace, sha256)
        self.env.store.put(key, content, content_type=finishing.encoding.media_type)
        agreement = None if np.isnan(done.agreement) else round(float(done.agreement), 4)
        return Rendition(
            render_id=render_id,
            finish_hash=finishing.finish_hash,
            sha256=sha256,
            object_key=key,
            media_type=finishing.encoding.media_type,
            width=finishing.canvas_width,
            height=finishing.canvas_height,
            bytes=len(content),
            details={"detail_lock": done.detail_lock.value, "agreement": agreement},
        )

    def _record(
        self,
        render_id: int,
        finishing: FinishingSpec,
        error: AdloomError,
        lease: Lease | RunLease,
    ) -> None:
        with self.env.database.transaction() as tx:
            renditions.record_failure(
                tx,
                render_id,
                finishing.finish_hash,
                error_class=error.error_class,
                message=str(error),
                retryable=error.retryable,
                lease=lease,
            )


def finish_missing(env: Environment, lease: RunLease) -> int:
    """Finishes and scores what a run needs of renders that exist: reused ones, or those of a
    process that died before it finished them. Returns how many. Raises LeaseLostError."""
    finisher = Finisher.of(env)
    with env.database.transaction() as tx:
        work = renditions.unfinished(tx, lease.run_id, scorer_revision=finisher.scorer.revision)
    for item in work:
        _finish_stored(env, finisher, item, lease)
    return len(work)


def _finish_stored(env: Environment, finisher: Finisher, item: FinishWork, lease: RunLease) -> None:
    try:
        raw = decode(env.store.get(item.object_key))
    except AdloomError as error:
        finisher.record_unless_transient(item.render_id, (item.finishing,), error, lease)
        return
    finisher.finish(item.render_id, item.spec, raw, (item.finishing,), lease=lease)
