"""From a raw render to a finished, scored, stored rendition."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adloom.errors import (
    AdloomError,
    ObjectMissingError,
    OutOfMemoryError,
    as_render_error,
    ends_the_work,
)
from adloom.finishing_spec import FinishingSpec
from adloom.geometry import Size, cover
from adloom.imaging.encode import decode, encode
from adloom.imaging.finishing import Finished, finish
from adloom.imaging.views import own_mask
from adloom.keys import rendition_key
from adloom.records import FinishPlace, FinishWork, Lease, Rendition, RunLease
from adloom.render_spec import RenderSpec
from adloom.scores import Scores
from db.queries import renditions, runs, scores
from tasks import resident
from tasks.environment import Environment
from tasks.pictures import ProductPicture, ProductPictures, flatten
from tasks.simulated import SimulatedExtractor, SimulatedScorer
from tasks.upscaling import Upscalers

if TYPE_CHECKING:
    from models.scoring.scorer import Scorer
    from models.segmentation import MaskExtractor

PAGE_ROWS = 500


@dataclass(frozen=True, slots=True)
class RawPicture:
    """A raw render (h, w, 3), the product that it should show, and the mask (h, w) of the one that
    it does show."""

    render_id: int
    spec: RenderSpec
    raw: NDArray[np.uint8]
    product: ProductPicture
    shown: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Finisher:
    """What finishing needs: pictures, models, and where results go.

    A picture that cannot be finished or scored is recorded on the render with its error class; the
    others go on. Every method may raise LeaseLostError, and what the database or the object store
    raise when unavailable.
    """

    env: Environment
    pictures: ProductPictures
    extractor: "MaskExtractor | SimulatedExtractor"
    scorer: "Scorer | SimulatedScorer"
    upscalers: Upscalers

    @classmethod
    def of(
        cls, env: Environment, model: str | None = None, pictures: ProductPictures | None = None
    ) -> "Finisher":
        """`model`: the campaign's, for the upscaler that refines with it; `pictures`: those that
        rendering has at hand."""
        return cls(
            env,
            pictures or ProductPictures(env.store, env.workspace),
            resident.saliency_extractor(env.rendering),
            resident.scorer(env.rendering),
            Upscalers(env.rendering, model),
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
        """Scores a raw render, then makes, stores and scores each rendition asked for."""
        try:
            picture = self._seen(render_id, spec, raw)
            self._score_raw(picture, lease)
        except Exception as error:
            self._record_unless_transient(render_id, finishings, error, lease)
            return
        for finishing in finishings:
            try:
                self._make(picture, finishing, lease)
            except Exception as error:
                self._record_unless_transient(render_id, (finishing,), error, lease)

    def finish_stored(self, item: FinishWork, *, lease: RunLease) -> None:
        """What a stored render lacks, and no more: of a rendition that is stored its bytes are
        scored, under this scorer's revision, and nothing is finished again."""
        try:
            image = self._stored_image(item.rendition)
            if image is None or not item.model_scored:
                raw = decode(self.env.store.get(item.object_key))
                picture = self._seen(item.render_id, item.spec, raw)
                if not item.model_scored:
                    self._score_raw(picture, lease)
                if image is None:
                    self._make(picture, item.finishing, lease)
                    return
            if not item.final_scored:
                final = self._final_scores(item.spec, image, item.finishing)
                self._put_scores(item.render_id, final, item.finishing.finish_hash, lease)
        except Exception as error:
            self._record_unless_transient(item.render_id, (item.finishing,), error, lease)

    def _stored_image(self, rendition: Rendition | None) -> NDArray[np.uint8] | None:
        """The stored finished image; None if there is none, so that it is made (again)."""
        if rendition is None:
            return None
        try:
            return flatten(decode(self.env.store.get(rendition.object_key)))
        except ObjectMissingError:
            return None

    def _seen(self, render_id: int, spec: RenderSpec, raw: NDArray[np.uint8]) -> RawPicture:
        product = self.pictures.get(spec.photo_sha256, spec.mask_sha256)
        shown = own_mask(raw, spec.product_box, lambda r: self.extractor.extract(r).mask)
        return RawPicture(render_id, spec, raw, product, shown)

    def _score_raw(self, picture: RawPicture, lease: Lease | RunLease) -> None:
        product, box = picture.product, picture.spec.product_box
        model = self.scorer.score_render(
            picture.raw, product.rgb, product.mask, product.bbox, box, picture.shown
        )
        self._put_scores(picture.render_id, model, None, lease)

    def _put_scores(
        self, render_id: int, measured: Scores, finish_hash: str | None, lease: Lease | RunLease
    ) -> None:
        with self.env.database.transaction() as tx:
            scores.put(tx, render_id, measured, finish_hash=finish_hash, lease=lease)

    def _make(self, picture: RawPicture, finishing: FinishingSpec, lease: Lease | RunLease) -> None:
        """Makes, stores and scores one rendition. The file is what is scored, not the pixels that
        went into it: a scorer that comes later finds the same."""
        product, spec = picture.product, picture.spec
        done = finish(
            picture.raw,
            picture.shown,
            product.rgb,
            product.mask,
            product.bbox,
            spec.product_box,
            finishing,
            self.upscalers.of(finishing.upscaling, spec, product),
        )
        content = encode(done.image, finishing.encoding, finishing.quality)
        final = self._final_scores(spec, flatten(decode(content)), finishing)
        rendition = self._store(picture.render_id, finishing, done, content)
        with self.env.database.transaction() as tx:
            renditions.put(tx, self.env.workspace_id, rendition, lease=lease)
            scores.put(tx, picture.render_id, final, finish_hash=finishing.finish_hash, lease=lease)

    def _final_scores(
        self, spec: RenderSpec, image: NDArray[np.uint8], finishing: FinishingSpec
    ) -> Scores:
        product = self.pictures.get(spec.photo_sha256, spec.mask_sha256)
        canvas = Size(finishing.canvas_width, finishing.canvas_height)
        box = cover(spec.native, canvas).to_canvas(spec.product_box)
        return self.scorer.score_final(image, product.rgb, product.mask, product.bbox, box)

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

    def _record_unless_transient(
        self,
        render_id: int,
        finishings: tuple[FinishingSpec, ...],
        caught: Exception,
        lease: Lease | RunLease,
    ) -> None:
        """One picture that cannot be finished stops no other; an outage or a lost lease does.
        One that does not fit the device is retryable, elsewhere: it stops no other, either."""
        error = as_render_error(caught)
        if ends_the_work(error) and not isinstance(error, OutOfMemoryError):
            raise error from caught
        for finishing in finishings:
            self._record(render_id, finishing, error, lease)

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
    with env.database.transaction() as tx:
        model = runs.get(tx, env.workspace_id, lease.run_id).spec.model
    finisher = Finisher.of(env, model)
    done = 0
    for item in unfinished(env, lease.run_id, scorer_revision=finisher.scorer.revision):
        finisher.finish_stored(item, lease=lease)
        done += 1
    return done


def unfinished(
    env: Environment, run_id: int, *, scorer_revision: str, page_rows: int = PAGE_ROWS
) -> Iterator[FinishWork]:
    """What a run needs finished or scored; read page by page, as it is asked for."""
    place: FinishPlace | None = renditions.FIRST
    while place is not None:
        with env.database.transaction() as tx:
            page = renditions.unfinished(
                tx, run_id, scorer_revision=scorer_revision, after=place, limit=page_rows
            )
        yield from page.work
        place = page.next
