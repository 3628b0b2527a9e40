"""A catalogue's slots planned into run items: first, again with all reused, and with 1 % changed.

    python -m benchmarks.planning_scale [--products 50000]      # × 5 scenes × 4 formats

Products, photos and cutouts are inserted directly, Postgres is the embedded one, the renderer's
identity and tokenizer are `mini`'s. Before the second run all renders are marked as rendered (as
rows: nothing is rendered here), so that it reuses them all. Each plan is a process of its own,
whose peak memory is reported. `cut` is what cutting the first run's renders into batches takes.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.geometry import FORMATS, Anchor, Placement
from adloom.render_spec import Sampler
from adloom.scenes import ScenePack, SceneTemplate
from adloom.states import Trigger
from benchmarks.databases import measured, open_bench, scratch_database
from db.queries import batches, campaigns, run_leases, runs, scenes
from tasks.environment import Environment

SURFACES = ("a wet rock by the sea", "a marble table", "moss in a forest", "sand", "an oak shelf")

_CATALOGUE = """
INSERT INTO catalog_source (workspace_id, slug, kind, location, delivery, options)
VALUES (:ws, 'bench', 'feed', '/nowhere', 'snapshot', '{}');
INSERT INTO product (workspace_id, source_id, external_id, title, category, brand, description,
    link, availability, content_hash)
SELECT :ws, (SELECT max(id) FROM catalog_source), 'sku-' || i, 'Trail running shoe ' || i,
    'Apparel > Shoes', 'Acme', '', '', 'in_stock', '' FROM generate_series(1, :n) AS i;
INSERT INTO photo (workspace_id, sha256, width, height, bytes, media_type)
SELECT :ws, encode(sha256(CAST('photo ' || i AS bytea)), 'hex'), 1000, 1000, 100000, 'image/jpeg'
FROM generate_series(1, :n) AS i;
INSERT INTO cutout (workspace_id, photo_sha256, mask_sha256, origin, extractor_version, confidence,
    bbox_x, bbox_y, bbox_width, bbox_height, area_fraction, colours, is_current)
SELECT :ws, encode(sha256(CAST('photo ' || i AS bytea)), 'hex'),
    encode(sha256(CAST('mask ' || i AS bytea)), 'hex'), 'extracted', 'u2netp-1', 0.95, 50, 50,
    300 + i % 400, 300 + i % 370, 0.4, ARRAY['blue', 'white'], true
FROM generate_series(1, :n) AS i;
INSERT INTO product_photo (product_id, location, workspace_id, role, position, photo_sha256)
SELECT p.id, 'https://cdn.example/' || p.external_id, :ws, 'main', 0,
    encode(sha256(CAST('photo ' || substr(p.external_id, 5) AS bytea)), 'hex')
FROM product p;
ANALYZE
"""

# Another photo of the same shape: what a nightly sync that fetched a new picture leaves behind.
_CHANGE = """
INSERT INTO photo (workspace_id, sha256, width, height, bytes, media_type)
SELECT workspace_id, encode(sha256(CAST('new ' || sha256 AS bytea)), 'hex'), width, height, bytes,
    media_type FROM (SELECT *, row_number() OVER (ORDER BY sha256) AS n FROM photo) AS p
WHERE n % 100 = 0;
UPDATE product_photo pp SET photo_sha256 = p.sha256 FROM photo p
WHERE p.sha256 = encode(sha256(CAST('new ' || pp.photo_sha256 AS bytea)), 'hex');
INSERT INTO cutout (workspace_id, photo_sha256, mask_sha256, origin, extractor_version, confidence,
    bbox_x, bbox_y, bbox_width, bbox_height, area_fraction, colours, is_current)
SELECT c.workspace_id, p.sha256, c.mask_sha256, c.origin, c.extractor_version, c.confidence,
    c.bbox_x, c.bbox_y, c.bbox_width, c.bbox_height, c.area_fraction, c.colours, true
FROM cutout c JOIN photo p ON p.sha256 = encode(sha256(CAST('new ' || c.photo_sha256 AS bytea)),
    'hex')
"""

_RENDER = """
UPDATE run_item SET outcome = 'approved', ended_at = now();
UPDATE render SET state = 'rendered', object_key = 'k', sha256 = 's', batch_id = NULL;
UPDATE run SET state = 'complete', ended_at = now();
ANALYZE
"""


def campaign() -> CampaignSpec:
    slugs = tuple(f"surface-{i}" for i in range(len(SURFACES)))
    return CampaignSpec("bench", "Bench", slugs, tuple(FORMATS))


def prepare(env: Environment, products: int) -> None:
    templates = tuple(
        SceneTemplate(
            f"surface-{i}", 1, surface, f"{{colours}} {{category}} on {surface}, {{title}}",
            "blurry, text", Placement(Anchor.BOTTOM, 0.5, 0.8, 0.55, 0.8), Sampler(),
        )
        for i, surface in enumerate(SURFACES)
    )  # fmt: skip
    execute(env, _CATALOGUE, ws=env.workspace_id, n=products)
    with env.database.transaction() as tx:
        scenes.upsert_pack(tx, env.workspace_id, ScenePack("bench", 1, templates))
        campaigns.apply(tx, env.workspace_id, campaign())


def execute(env: Environment, statements: str, **values: Any) -> None:
    for statement in statements.split(";"):
        with env.database.transaction() as tx:
            tx.execute(text(statement), {k: v for k, v in values.items() if f":{k}" in statement})


def plan_here(url: str) -> dict[str, Any]:
    """Plans one run in this process: slots, seconds, peak memory."""
    from tasks import planning, resident

    with open_bench(url) as env:
        resident.identity("mini", env.rendering)  # loading the weights is no part of planning
        with env.database.transaction() as tx:
            run_id = runs.create(
                tx, env.workspace_id, "bench", trigger=Trigger.MANUAL, weights_hash=None
            )
            lease = run_leases.claim(tx, run_id, "bench", 3600)
            run = runs.get(tx, env.workspace_id, run_id)
        assert lease is not None
        before_mb = peak_mb()
        with measured(url) as took:
            slots = planning.plan_run(env, lease, run)
        with env.database.transaction() as tx:
            found = runs.summary(tx, env.workspace_id, run_id)
            assert runs.conservation(tx, run_id).holds
    return {
        "slots": slots,
        **{k.value: n for k, n in found.dispositions.items()},
        "slots_per_s": round(slots / took[0].seconds),
        **asdict(took[0]),
        "peak_before_mb": before_mb,
    }


def peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def cut_here(url: str) -> dict[str, Any]:
    """Cuts the newest run's pending renders into batches."""
    with open_bench(url) as env:
        with env.database.transaction() as tx:
            run = runs.latest(tx, env.workspace_id)
        assert run is not None
        with measured(url) as took, env.database.transaction() as tx:
            made = batches.cut(tx, run.id, size=32)
    return {"batches": len(made), **asdict(took[0])}


def child(step: str, url: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.planning_scale", "--step", step, url]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder: Path, products: int, *, first_only: bool) -> Iterator[dict[str, Any]]:
    with scratch_database(folder) as url, open_bench(url) as env:
        prepare(env, products)
        yield {"plan": "first", **child("plan", url)}
        if first_only:
            return
        yield {"plan": "cut", **child("cut", url)}
        execute(env, _RENDER)
        yield {"plan": "again", **child("plan", url)}
        execute(env, _RENDER)
        execute(env, _CHANGE)
        yield {"plan": "1 % changed", **child("plan", url)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--first-only", action="store_true")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, url = arguments.step
        print(json.dumps(plan_here(url) if step == "plan" else cut_here(url)))
        return
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="adloom-scale-") as folder:
        Path(folder).chmod(0o755)
        for line in measure(Path(folder), arguments.products, first_only=arguments.first_only):
            print("  ".join(f"{k} {v}" for k, v in line.items()), flush=True)
            found.append(line)
    print(json.dumps({"products": arguments.products, "plans": found}))


if __name__ == "__main__":
    main()
