"""A run whose pictures are really there."""

import hashlib

from adloom.campaign import CampaignSpec
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import encode
from adloom.keys import mask_key, photo_key, render_key
from adloom.planning import RendererIdentity
from adloom.records import RunLease, StoredRender
from db.queries import leases, run_leases
from storage.protocol import ObjectStore
from tests.db.world import RENDERER, World
from tests.unit.imaging.pictures import drawn_cutout, rendered

MUG = drawn_cutout(3, 200, 300)
PNG = ImageFormat.PNG.media_type


def drawn_run(
    world: World,
    store: ObjectStore,
    spec: CampaignSpec,
    renderer: RendererIdentity = RENDERER,
) -> RunLease:
    """A run, held, whose first render is stored, its product and pixels really drawn."""
    run_id = world.run(spec, renderer=renderer)
    lease = world.claimed(world.cut(run_id)[0])
    with world.database.transaction() as tx:
        work = leases.work(tx, lease)[0]
        raw, _ = rendered(MUG, work.spec.product_box, work.spec.native)
        keys = (
            photo_key("w", work.spec.photo_sha256),
            mask_key("w", work.spec.mask_sha256),
            render_key("w", work.fingerprint),
        )
        for key, picture in zip(keys, (MUG.photo, MUG.mask, raw), strict=True):
            store.put(key, encode(picture, ImageFormat.PNG), content_type=PNG)
        stored = StoredRender(keys[2], hashlib.sha256(b"raw").hexdigest(), 3, "cpu")
        leases.mark_rendered(tx, lease, work.render_id, stored)
    return held_run(world, run_id)


def held_run(world: World, run_id: int) -> RunLease:
    with world.database.transaction() as tx:
        held = run_leases.claim(tx, run_id, "me", 60)
    assert held is not None
    return held
