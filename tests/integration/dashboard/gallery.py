"""A run that waits for review, its pictures really drawn and stored."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adloom.cutouts import Cutout, MaskOrigin, Photo
from adloom.finishing_spec import ImageFormat
from adloom.gates import DEFAULT_GATES, gate_set_hash, judge
from adloom.imaging.encode import encode
from adloom.keys import mask_key, photo_key, render_key, rendition_key
from adloom.records import ItemVerdict, PhotoValidators, ProductPhoto, Rendition, StoredRender
from adloom.scores import Scores, Stage
from db.engine import Transaction
from db.queries import cutouts, judging, leases, photos, renditions, runs, scores
from tasks.environment import Environment
from tests.db.world import EXTRACTOR, REVISION, World, campaign, record
from tests.unit.imaging.pictures import DrawnCutout, drawn_cutout, rendered

PNG = ImageFormat.PNG.media_type


@dataclass(frozen=True)
class Gallery:
    """`world` in the environment's workspace; each product has 2 scenes × 2 formats."""

    env: Environment
    world: World

    @classmethod
    def open(cls, env: Environment) -> "Gallery":
        return cls(env, World.open(env.database, env.workspace))

    def put(self, key: str, content: bytes) -> bytes:
        if not self.env.store.exists(key):
            self.env.store.put(key, content, content_type=PNG)
        return content

    def add_products(self, titles: Sequence[str]) -> None:
        self.world.sync([record(f"sku-{n}", title=title) for n, title in enumerate(titles)])
        with self.env.database.transaction() as tx:
            for n, ref in enumerate(photos.to_fetch(tx, self.world.ws, self.world.source_id)):
                self._photograph(tx, ref, drawn_cutout(n, 150, 200))

    def _photograph(self, tx: Transaction, ref: ProductPhoto, drawn: DrawnCutout) -> None:
        photo, mask = (encode(p, ImageFormat.PNG) for p in (drawn.photo, drawn.mask))
        height, width = drawn.mask.shape
        photo_sha, mask_sha = sha(photo), sha(mask)
        self.put(photo_key(self.env.workspace, photo_sha), photo)
        self.put(mask_key(self.env.workspace, mask_sha), mask)
        photos.upsert(tx, self.world.ws, [Photo(photo_sha, width, height, len(photo), PNG)])
        validators = PhotoValidators(etag=None, size=len(photo))
        photos.link(tx, [ProductPhoto(
            ref.product_id, ref.external_id, ref.location, ref.role, ref.position, photo_sha,
            validators,
        )])  # fmt: skip
        cutouts.upsert(tx, self.world.ws, [Cutout(
            photo_sha, mask_sha, MaskOrigin.EXTRACTED, EXTRACTOR, 0.9, drawn.bbox, 0.4, ("red",),
        )])  # fmt: skip

    def run(
        self,
        identity: Callable[[int], float] = lambda n: 0.552 + 0.0005 * n,
        *,
        fails: Callable[[int], str] = lambda _: "",
        **spec: Any,
    ) -> int:
        """A judged run. `identity` of the n-th render decides: .55 to .59 needs review; it fails
        with what `fails` says of it, if anything."""
        run_id = self.world.run(campaign(**spec))
        made = 0
        for batch in self.world.cut(run_id):
            lease = self.world.claimed(batch)
            with self.env.database.transaction() as tx:
                for work in leases.work(tx, lease):
                    if message := fails(made):
                        leases.mark_failed(
                            tx, lease, work.render_id, error_class="RenderError",
                            message=message, retryable=True,
                        )  # fmt: skip
                        made += 1
                        continue
                    cutout = drawn_cutout(made % 7, 150, 200)
                    raw, _ = rendered(cutout, work.spec.product_box, work.spec.native)
                    content = self.put(
                        render_key(self.env.workspace, work.fingerprint), picture(raw)
                    )
                    stored = StoredRender(
                        render_key(self.env.workspace, work.fingerprint), sha(content),
                        len(content), "cpu", {"render_s": 0.5},
                    )  # fmt: skip
                    leases.mark_rendered(tx, lease, work.render_id, stored)
                    made += 1
                leases.finish(tx, lease)
        self._finish(run_id, identity)
        self.judge(run_id)
        return run_id

    def _finish(self, run_id: int, identity: Callable[[int], float]) -> None:
        with self.env.database.transaction() as tx:
            work = renditions.unfinished(tx, run_id, scorer_revision=REVISION).work
            for n, item in enumerate(work):
                shade = np.full((160, 160, 3), (40 + 7 * n) % 255, np.uint8)
                shade[40:120, 40:120] = (200, n % 255, item.render_id % 255)
                self.finish(tx, item.render_id, item.finishing.finish_hash, shade, identity(n))

    def finish(
        self,
        tx: Transaction,
        render_id: int,
        finish_hash: str,
        pixels: NDArray[np.uint8],
        identity: float,
    ) -> str:
        """Stores a finished picture with its scores; returns its sha256."""
        content = picture(pixels)
        digest = sha(content)
        key = rendition_key(self.env.workspace, digest)
        self.put(key, content)
        renditions.put(tx, self.world.ws, Rendition(
            render_id, finish_hash, digest, key, PNG, pixels.shape[1], pixels.shape[0],
            len(content), {"detail_lock": "applied", "agreement": 0.9},
        ))  # fmt: skip
        values = {"identity": identity, "growth": 0.1, "sharpness": 0.5, "clipping": 0.0}
        scores.put(tx, render_id, Scores(Stage.MODEL, REVISION, values), finish_hash=None)
        final = Scores(Stage.FINAL, REVISION, {**values, "safety": 0.99})
        scores.put(tx, render_id, final, finish_hash=finish_hash)
        return digest

    def judge(self, run_id: int) -> None:
        with self.env.database.transaction() as tx:
            items = judging.judgeable(tx, run_id, scorer_revision=REVISION)
            verdicts = [ItemVerdict(i.run_item_id, judge(i.scores, DEFAULT_GATES)) for i in items]
            judging.close_ended(tx, run_id)
            judging.write_verdicts(tx, run_id, gate_set_hash(DEFAULT_GATES), verdicts)

    def repaint(self, creative_id: int, run_id: int) -> str:
        """Gives the creative's item in a run another finished image, as another finishing would."""
        with self.env.database.transaction() as tx:
            items = judging.judgeable(
                tx, run_id, scorer_revision=REVISION, include_judged=True, after=creative_id - 1,
                limit=1,
            )  # fmt: skip
            assert items[0].creative_id == creative_id
            pixels = np.full((64, 64, 3), (creative_id * 37) % 255, np.uint8)
            return self.finish(tx, items[0].render_id, items[0].finish_hash, pixels, 0.57)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def picture(pixels: NDArray[np.uint8]) -> bytes:
    return encode(pixels, ImageFormat.PNG)


def decisions(gallery: Gallery, run_id: int) -> dict[str, int]:
    """How many items of a run stand in which outcome."""
    with gallery.env.database.transaction() as tx:
        assert runs.conservation(tx, run_id).holds
        found = runs.summary(tx, gallery.world.ws, run_id).outcomes
        return {outcome.value: n for outcome, n in found.items()}
