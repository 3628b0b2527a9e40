"""A small catalogue, its scenes and campaigns, and a worker that "renders" by saying so."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.catalog import Delivery, PhotoRef, PhotoRole, Price, ProductRecord, SyncCounts
from adloom.cutouts import Cutout, MaskOrigin, Photo
from adloom.gates import Decision, Reason, Verdict
from adloom.geometry import Anchor, Box, Placement
from adloom.planning import PlannedItem, RendererIdentity, plan
from adloom.records import (
    ItemVerdict,
    Lease,
    PhotoValidators,
    ProductPhoto,
    RejectedItem,
    Rendition,
    StoredRender,
)
from adloom.render_spec import Sampler, seed_for
from adloom.scenes import ScenePack, SceneTemplate
from adloom.scores import Scores, Stage
from adloom.states import RunState, Trigger
from db.engine import Database, Transaction
from db.queries import (
    batches,
    campaigns,
    catalog,
    cutouts,
    judging,
    leases,
    photos,
    refreshing,
    renditions,
    runs,
    scenes,
    scores,
    selection,
    syncs,
    workspaces,
)

RENDERER = RendererIdentity(
    weights_hash="w" * 64,
    dtype="float32",
    unit_px=16,
    max_tokens=77,
    count_tokens=lambda words: len(words.split()),
)
REVISION = "scorer-1"
EXTRACTOR = "u2netp-1"
FORMATS = ("1:1", "9:16")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(name: str, *, title: str = "", category: str = "home > lamps", price: str = "9.90",
           extra: tuple[PhotoRef, ...] = ()) -> ProductRecord:  # fmt: skip
    return ProductRecord(
        external_id=name,
        title=title or f"Title of {name}",
        category=category,
        photos=(PhotoRef(f"/photos/{name}.png", PhotoRole.MAIN, 0), *extra),
        brand="Acme",
        price=Price(Decimal(price), "EUR"),
    )


def photo(name: str) -> Photo:
    return Photo(sha(name), 640, 480, 12345, "image/png")


def cutout(photo_sha256: str, mask: str = "", *, origin: MaskOrigin = MaskOrigin.EXTRACTED,
           version: str = EXTRACTOR, confidence: float = 0.9) -> Cutout:  # fmt: skip
    return Cutout(
        photo_sha256,
        sha(mask or f"mask of {photo_sha256}"),
        origin,
        version,
        confidence,
        Box(100.0, 50.0, 200.0, 300.0),
        0.25,
        ("red", "white"),
    )


def scene(slug: str, version: int = 1, *, title: str = "A scene") -> SceneTemplate:
    return SceneTemplate(
        slug,
        version,
        title,
        "a photo of {title} on a table",
        "blurry",
        Placement(Anchor.BOTTOM, 0.5, 0.8, 0.55, 0.8),
        Sampler(),
        (),
        ("test",),
    )


def campaign(slug: str = "spring", **more: Any) -> CampaignSpec:
    """Both scenes in two formats: four slots of a product."""
    return CampaignSpec(slug, "Spring", ("beach", "desk"), more.pop("formats", FORMATS), **more)


def stored(render_id: int) -> StoredRender:
    return StoredRender(f"w/renders/{render_id}", sha(str(render_id)), 99, "cpu", {"render_s": 0.1})


@dataclass(frozen=True)
class World:
    database: Database
    ws: int
    source_id: int
    slug: str

    @classmethod
    def open(cls, database: Database, slug: str = "w") -> "World":
        with database.transaction() as tx:
            ws = workspaces.ensure(tx, slug)
            source = catalog.add_source(
                tx, ws, slug="shop", kind="feed", location="/feed.tsv", delivery=Delivery.SNAPSHOT
            )
            scenes.upsert_pack(tx, ws, ScenePack("base", 1, (scene("beach"), scene("desk"))))
        return cls(database, ws, source.id, slug)

    def sync(self, records: Sequence[ProductRecord], *, complete: bool = False) -> int:
        with self.database.transaction() as tx:
            sync_id = syncs.begin(tx, self.ws, self.source_id)
            syncs.upsert_products(tx, sync_id, records)
            if complete:
                syncs.deactivate_missing(tx, sync_id, allow_shrink=True)
            syncs.finish(tx, sync_id, SyncCounts(rows=len(records)))
        return sync_id

    def add_products(self, n: int) -> list[str]:
        """Products p0…, each with a photo of its own, fetched and cut out."""
        names = [f"p{i}" for i in range(n)]
        self.sync([record(name) for name in names])
        self.fetch_photos()
        return names

    def fetch_photos(self, content: Callable[[ProductPhoto], str] = lambda p: p.location) -> None:
        with self.database.transaction() as tx:
            refs = photos.to_fetch(tx, self.ws, self.source_id)
            fetched = {ref: photo(content(ref)) for ref in refs}
            photos.upsert(tx, self.ws, list(fetched.values()))
            photos.link(
                tx,
                [
                    ProductPhoto(
                        r.product_id, r.external_id, r.location, r.role, r.position, p.sha256,
                        PhotoValidators(etag=f"etag-{p.sha256[:6]}", size=p.bytes),
                    )
                    for r, p in fetched.items()
                ],
            )  # fmt: skip
            new = cutouts.photos_without_cutout(tx, self.ws, EXTRACTOR)
            cutouts.upsert(tx, self.ws, [cutout(p.sha256) for p in new])

    def planned(
        self, spec: CampaignSpec, renderer: RendererIdentity = RENDERER
    ) -> list[PlannedItem]:
        with self.database.transaction() as tx:
            products = list(selection.plannable(tx, self.ws, spec))
            chosen = scenes.latest(tx, self.ws, spec.scenes)
            items = list(plan(spec, products, chosen, renderer))
            slots = [item for item in items if isinstance(item, PlannedItem)]
            return list(refreshing.due(tx, self.ws, spec, slots))

    def run(
        self,
        spec: CampaignSpec,
        *,
        reset_failed: bool = False,
        renderer: RendererIdentity = RENDERER,
    ) -> int:
        """A run of the campaign, planned and rendering."""
        items = self.planned(spec, renderer)
        with self.database.transaction() as tx:
            campaigns.apply(tx, self.ws, spec)
            run_id = runs.create(
                tx, self.ws, spec.slug, trigger=Trigger.MANUAL, weights_hash=renderer.weights_hash
            )
            runs.add_items(tx, run_id, items, reset_failed=reset_failed)
            runs.set_state(tx, run_id, RunState.RENDERING)
        return run_id

    def cut(self, run_id: int, size: int = 100) -> list[int]:
        with self.database.transaction() as tx:
            return [b.id for b in batches.cut(tx, run_id, size=size)]

    def claim(self, batch_id: int, owner: str = "worker", ttl_s: float = 60) -> Lease | None:
        with self.database.transaction() as tx:
            return leases.claim(tx, batch_id, owner, ttl_s)

    def claimed(self, batch_id: int, owner: str = "worker", ttl_s: float = 60) -> Lease:
        lease = self.claim(batch_id, owner, ttl_s)
        assert lease is not None
        return lease

    def expire(self, batch_id: int) -> None:
        """Lets a batch's lease run out now."""
        statement = "UPDATE batch SET lease_expires_at = now() - interval '1 s' WHERE id = :batch"
        with self.database.transaction() as tx:
            tx.execute(text(statement), {"batch": batch_id})

    def render_all(
        self,
        run_id: int,
        *,
        fails: Callable[[int], bool] = lambda _: False,
        retryable: bool = True,
        finishes: bool = True,
    ) -> int:
        """Renders and finishes all that the run needs; returns how many renders it made."""
        made = 0
        for batch_id in self.cut(run_id):
            lease = self.claimed(batch_id)
            with self.database.transaction() as tx:
                for work in leases.work(tx, lease):
                    made += 1
                    if fails(made):
                        leases.mark_failed(
                            tx, lease, work.render_id, error_class="RenderError",
                            message="no picture", retryable=retryable,
                        )  # fmt: skip
                    else:
                        leases.mark_rendered(tx, lease, work.render_id, stored(work.render_id))
                leases.finish(tx, lease)
        if finishes:
            self.finish_all(run_id)
        return made

    def draw_again(self, run_id: int, draws: int) -> int:
        """Gives the rejected their next draw, up to `draws` in all."""
        with self.database.transaction() as tx:
            items = [_next_draw(r) for r in judging.rejected(tx, run_id, below_draw=draws)]
            return judging.add_next_draws(tx, run_id, items)

    def names(self) -> dict[int, str]:
        """External ids by product id."""
        with self.database.transaction() as tx:
            return {p.id: p.external_id for p in catalog.products(tx, self.ws)}

    def finish_all(self, run_id: int) -> int:
        with self.database.transaction() as tx:
            work = renditions.unfinished(tx, run_id, scorer_revision=REVISION).work
            for item in work:
                digest = sha(f"{item.render_id} {item.finishing.finish_hash}")
                self.put_finished(tx, item.render_id, item.finishing.finish_hash, digest)
        return len(work)

    def put_finished(self, tx: Transaction, render_id: int, finish_hash: str, digest: str) -> None:
        rendition = Rendition(
            render_id, finish_hash, digest, f"w/renditions/{digest}", "image/webp", 1080, 1080, 50,
            {"detail_lock": "applied", "agreement": 0.9},
        )  # fmt: skip
        renditions.put(tx, self.ws, rendition)
        for stage, key in ((Stage.MODEL, None), (Stage.FINAL, finish_hash)):
            measured = Scores(stage, REVISION, {"identity": 0.8, "sharpness": 0.5})
            scores.put(tx, render_id, measured, finish_hash=key)

    def judge(
        self,
        run_id: int,
        *,
        rejects: Callable[[int], bool] = lambda _: False,
        at_most: int | None = None,
    ) -> None:
        """Approves what can be judged, the first `at_most`, but those that `rejects` by order."""
        with self.database.transaction() as tx:
            judging.close_ended(tx, run_id)
            items = judging.judgeable(tx, run_id, scorer_revision=REVISION)[:at_most]
            verdicts = [
                ItemVerdict(item.run_item_id, REJECTED if rejects(n) else APPROVED)
                for n, item in enumerate(items)
            ]
            judging.write_verdicts(tx, run_id, "gates-1", verdicts)


def _next_draw(rejected: RejectedItem) -> PlannedItem:
    slot, draw, spec = rejected.slot, rejected.draw + 1, rejected.spec
    seed = seed_for(spec.photo_sha256, slot.scene_slug, slot.format_slug, slot.variant, draw)
    return PlannedItem(slot, rejected.scene_version, draw, replace(spec, seed=seed))


APPROVED = Verdict(Decision.APPROVED)
REJECTED = Verdict(
    Decision.REJECTED, (Reason("MODEL_IDENTITY", "model.identity", 0.2, 0.45, None),)
)
