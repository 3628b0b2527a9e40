"""A database as large as a year's use leaves one: products, creatives, runs, verdicts, reviews.

    python -m benchmarks.dashboard_seed postgresql://… [--creatives 1000000] [--workspace seed]

Rows alone, without pictures; all by statements of the server's own. There are 20 campaigns of 15
runs each; a product has 20 creatives (5 scenes × 4 formats) in one campaign. The first run of each
campaign takes all of its creatives, the others 2 % of them; the last run of all is under way. Each
judged item has its verdict, each render its scores and rendition, one creative in 50 a review.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict

import psycopg

from adloom.campaign import CampaignSpec
from adloom.gates import DEFAULT_GATES, Reason, gate_set_hash
from adloom.geometry import FORMATS, Anchor, Box, Placement, Size
from adloom.render_spec import RenderSpec, Sampler
from adloom.scenes import ScenePack, SceneTemplate
from db.engine import Database
from db.queries import campaigns, scenes, workspaces

CAMPAIGNS, RUNS_EACH, SCENES, WORKERS = 20, 15, 5, 8
BATCH = 32
SURFACES = ("wet rock", "marble table", "moss", "sand", "oak shelf")
REASONS = json.dumps([asdict(Reason("MODEL_IDENTITY", "model.identity", 0.4, 0.57, None))])

# What stands in braces is filled in as literals.
_STEPS = {
    "products": """
INSERT INTO catalog_source (workspace_id, slug, kind, location, delivery, options)
VALUES ({ws}, 'seed', 'feed', '/nowhere', 'snapshot', '{{}}') ON CONFLICT DO NOTHING;
INSERT INTO product (workspace_id, source_id, external_id, title, category, brand, description,
    link, availability, content_hash)
SELECT {ws}, (SELECT max(id) FROM catalog_source), 'sku-' || i,
    (ARRAY['Trail running shoe','Ceramic cup','Oak chair','Desk lamp','Rain jacket'])[1 + i % 5]
        || ' ' || (ARRAY['red','blue','green','black','white','grey','brown'])[1 + i % 7]
        || ' ' || i,
    (ARRAY['Apparel > Shoes > Trail','Home > Kitchen > Cups','Home > Furniture > Chairs',
        'Home > Lighting','Apparel > Outerwear'])[1 + i % 5],
    (ARRAY['Acme','Nordholm','Peak'])[1 + i % 3], '', '', 'in_stock', ''
FROM generate_series(1, {n}) AS i;
INSERT INTO photo (workspace_id, sha256, width, height, bytes, media_type)
SELECT {ws}, encode(sha256(CAST('photo ' || i AS bytea)), 'hex'), 1000, 1000, 100000, 'image/jpeg'
FROM generate_series(1, {n}) AS i;
INSERT INTO cutout (workspace_id, photo_sha256, mask_sha256, origin, extractor_version, confidence,
    bbox_x, bbox_y, bbox_width, bbox_height, area_fraction, colours, is_current)
SELECT {ws}, encode(sha256(CAST('photo ' || i AS bytea)), 'hex'),
    encode(sha256(CAST('mask ' || i AS bytea)), 'hex'), 'extracted', 'u2netp-1', 0.95, 50, 50,
    400, 400, 0.4, ARRAY['blue', 'white'], true
FROM generate_series(1, {n}) AS i;
INSERT INTO product_photo (product_id, location, workspace_id, role, position, photo_sha256)
SELECT p.id, 'https://cdn.example/' || p.external_id, {ws}, 'main', 0,
    encode(sha256(CAST('photo ' || substr(p.external_id, 5) AS bytea)), 'hex')
FROM product p WHERE p.workspace_id = {ws};
INSERT INTO photo_problem (product_id, location, reason, detail)
SELECT p.id, 'https://cdn.example/' || p.external_id, 'TOO_SMALL', 'the photo has 90 x 90 px'
FROM product p WHERE p.workspace_id = {ws} AND p.id % 100 = 0""",
    "creatives": """
INSERT INTO creative (workspace_id, campaign_id, product_id, photo_role, scene_slug, format_slug,
    variant)
SELECT {ws}, c.id, p.id, 'main', 'surface-' || s, f, 0
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM product WHERE workspace_id = {ws}) p
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM campaign WHERE workspace_id = {ws}) c
    ON p.n % {campaigns} = c.n
CROSS JOIN generate_series(0, {scenes} - 1) AS s CROSS JOIN unnest(ARRAY[{formats}]) AS f
ORDER BY c.id, p.id""",
    "runs": """
INSERT INTO run (workspace_id, campaign_id, spec, weights_hash, trigger, state, created_at,
    ended_at)
SELECT {ws}, c.id, jsonb_set(c.spec, '{{seed}}', to_jsonb(i / 5)), repeat('w', 64),
    CASE WHEN i % 3 = 0 THEN CAST('manual' AS run_trigger) ELSE 'schedule' END, 'complete',
    now() - make_interval(days => 1 + 4 * ({runs} - i), mins => CAST(c.n AS integer)),
    now() - make_interval(days => 1 + 4 * ({runs} - i), mins => CAST(c.n AS integer))
        + interval '3 hours'
FROM generate_series(1, {runs}) AS i
CROSS JOIN (SELECT id, spec, row_number() OVER (ORDER BY id) AS n FROM campaign
    WHERE workspace_id = {ws}) c ORDER BY i, c.id;
CREATE TABLE seed_run AS SELECT r.id, r.campaign_id, r.created_at,
    row_number() OVER (PARTITION BY r.campaign_id ORDER BY r.id) AS n
FROM run r WHERE r.workspace_id = {ws};
INSERT INTO batch (workspace_id, run_id, state, size, attempts, lease_epoch, created_at, ended_at)
SELECT {ws}, r.id, 'done', {batch}, CASE WHEN b % 90 = 0 THEN 3 ELSE 1 END, 1, r.created_at,
    r.created_at + make_interval(secs => b * 5)
FROM seed_run r CROSS JOIN LATERAL generate_series(1, (
    SELECT count(*) / {batch} + 1 FROM creative c WHERE c.campaign_id = r.campaign_id)) AS b
WHERE r.n = 1;
INSERT INTO batch_attempt (batch_id, epoch, workspace_id, owner, worker, renders, started_at,
    ended_at, ending)
SELECT b.id, 1, {ws}, 'host:' || b.id % {workers}, 'gpu-' || b.id % {workers}, b.size,
    b.ended_at - make_interval(secs => 30 + b.id % 17), b.ended_at, 'finished'
FROM batch b WHERE b.workspace_id = {ws}""",
    # A creative's render has its number, in batches of the campaign's first run.
    "renders": """
INSERT INTO render (id, workspace_id, fingerprint, spec, state, batch_id, batch_position,
    object_key, sha256, bytes, device, timings, attempts, created_at, ended_at)
SELECT c.id, {ws}, encode(sha256(CAST('render ' || c.id AS bytea)), 'hex'),
    jsonb_set(jsonb_set(CAST({spec} AS jsonb), '{{photo_sha256}}', to_jsonb(ph.photo_sha256)),
        '{{mask_sha256}}', to_jsonb(k.mask_sha256)),
    'rendered', f.batch + (c.place - 1) / {batch}, (c.place - 1) % {batch},
    '{slug}/renders/' || encode(sha256(CAST('render ' || c.id AS bytea)), 'hex'),
    encode(sha256(CAST('raw ' || c.id AS bytea)), 'hex'), 90000, 'cuda:0',
    jsonb_build_object('render_s', 0.8 + (c.id % 40) / 100.0), 1, f.created_at,
    f.created_at + make_interval(secs => (c.place - 1) / {batch} * 5)
FROM (SELECT id, campaign_id, product_id,
    row_number() OVER (PARTITION BY campaign_id ORDER BY id) AS place
    FROM creative WHERE workspace_id = {ws}) c
JOIN (SELECT r.campaign_id, r.created_at, min(b.id) AS batch FROM seed_run r
    JOIN batch b ON b.run_id = r.id WHERE r.n = 1 GROUP BY 1, 2) f ON f.campaign_id = c.campaign_id
JOIN product_photo ph ON ph.product_id = c.product_id
JOIN cutout k ON k.workspace_id = {ws} AND k.photo_sha256 = ph.photo_sha256 AND k.is_current;
SELECT setval(pg_get_serial_sequence('render', 'id'), (SELECT max(id) FROM render));
INSERT INTO rendition (workspace_id, render_id, finish_hash, sha256, object_key, media_type, width,
    height, bytes, details)
SELECT {ws}, r.id, {finish}, encode(sha256(CAST('done ' || r.id AS bytea)), 'hex'),
    '{slug}/renditions/' || encode(sha256(CAST('done ' || r.id AS bytea)), 'hex'), 'image/webp',
    1080, 1080, 120000, '{{"detail_lock": "applied", "agreement": 0.93}}'
FROM render r WHERE r.workspace_id = {ws}""",
    "scores": """
INSERT INTO score (render_id, stage, finish_hash, revision, workspace_id, values)
SELECT r.id, 'model', 'raw', 'seed-1', {ws}, jsonb_build_object('identity',
    0.5 + (r.id % 50) / 100.0, 'growth', (r.id % 30) / 100.0) FROM render r
WHERE r.workspace_id = {ws};
INSERT INTO score (render_id, stage, finish_hash, revision, workspace_id, values)
SELECT r.id, 'final', {finish}, 'seed-1', {ws}, jsonb_build_object('sharpness', 0.5, 'clipping',
    0.05, 'safety', 0.95) FROM render r WHERE r.workspace_id = {ws}""",
    "items": """
INSERT INTO run_item (workspace_id, run_id, creative_id, render_id, scene_version, draw,
    finish_hash, disposition, outcome, error_class, error_message, error_retryable, attempts,
    created_at, ended_at)
SELECT {ws}, r.id, c.id, c.id, 1, 0, {finish},
    CAST(CASE WHEN r.n = 1 THEN 'new' ELSE 'reused' END AS disposition), o.outcome,
    CASE WHEN o.outcome = 'failed'
        THEN (ARRAY['RenderError', 'OutOfMemoryError'])[1 + c.id % 2] END,
    CASE WHEN o.outcome = 'failed' THEN 'the render failed on cuda:' || c.id % 8 END,
    CASE WHEN o.outcome = 'failed' THEN c.id % 2 = 1 END, 1, r.created_at,
    r.created_at + make_interval(secs => c.id % 9000)
FROM seed_run r JOIN creative c ON c.campaign_id = r.campaign_id
    AND (r.n = 1 OR c.id % 50 = r.n)
CROSS JOIN LATERAL (SELECT CAST(CASE WHEN (c.id * 7 + r.n) % 100 < 80 THEN 'approved'
    WHEN (c.id * 7 + r.n) % 100 < 88 THEN 'needs_review'
    WHEN (c.id * 7 + r.n) % 100 < 98 THEN 'rejected' ELSE 'failed' END AS outcome) AS outcome) o
ORDER BY r.id, c.id;
UPDATE run r SET planned_slots = (SELECT count(*) FROM run_item i WHERE i.run_id = r.id)
WHERE r.workspace_id = {ws};
INSERT INTO verdict (workspace_id, run_item_id, gate_set_hash, decision, reasons)
SELECT {ws}, i.id, {gates}, CAST(CAST(i.outcome AS text) AS decision),
    CASE WHEN i.outcome = 'approved' THEN CAST('[]' AS jsonb) ELSE CAST({reasons} AS jsonb) END
FROM run_item i WHERE i.workspace_id = {ws} AND i.outcome <> 'failed'""",
    "the rest": """
UPDATE creative c SET current_render_id = c.id, current_rendition_id = d.id,
    planned_render_id = c.id
FROM rendition d WHERE d.workspace_id = {ws} AND d.render_id = c.id AND c.workspace_id = {ws}
    AND (c.id * 7 + 1) % 100 < 80;
INSERT INTO review (workspace_id, creative_id, image_sha256, reviewer, decision, reason, created_at)
SELECT {ws}, c.id, encode(sha256(CAST('done ' || c.id AS bytea)), 'hex'), 'anna',
    CAST(CASE WHEN c.id % 500 < 450 THEN 'approve' ELSE 'reject' END AS review_decision), '',
    now() - make_interval(secs => c.id % 1000000)
FROM creative c WHERE c.workspace_id = {ws} AND c.id % 50 = 0;
INSERT INTO review_queue (creative_id, workspace_id, run_item_id, image_sha256, distance,
    campaign_id, scene_slug, category, reasons, scores)
SELECT DISTINCT ON (c.id) c.id, {ws}, i.id, d.sha256, (c.id * 7919 % 1000) / 10000.0, c.campaign_id,
    c.scene_slug, p.category, ARRAY['MODEL_IDENTITY_NEAR'], '{{"model.identity": 0.56}}'
FROM run_item i JOIN creative c ON c.id = i.creative_id JOIN product p ON p.id = c.product_id
JOIN rendition d ON d.workspace_id = {ws} AND d.render_id = i.render_id
WHERE i.workspace_id = {ws} AND i.outcome = 'needs_review' ORDER BY c.id, i.id DESC;
UPDATE run SET state = 'rendering', ended_at = NULL, lease_owner = 'seed', lease_epoch = 1,
    lease_expires_at = now() + interval '10 hours'
WHERE id = (SELECT max(id) FROM seed_run);
UPDATE run_item SET outcome = 'open', ended_at = NULL, error_class = NULL, error_message = NULL
WHERE run_id = (SELECT max(id) FROM seed_run) AND id % 2 = 0 AND outcome IN ('approved', 'failed');
DROP TABLE seed_run""",
}


def seed(url: str, workspace: str, creatives: int) -> Iterator[tuple[str, float]]:
    """Fills an empty, migrated database; yields what each step took, s."""
    values = _values(url, workspace, creatives)
    with psycopg.connect(url, autocommit=True) as connection:
        for name, statements in _STEPS.items():
            began = time.perf_counter()
            for statement in statements.format(**values).split(";\n"):
                connection.execute(statement.encode())
            yield name, time.perf_counter() - began
        began = time.perf_counter()
        connection.execute("VACUUM (ANALYZE)")
        yield "vacuum", time.perf_counter() - began


def _values(url: str, workspace: str, creatives: int) -> dict[str, object]:
    templates = tuple(
        SceneTemplate(
            f"surface-{i}", 1, surface.title(), f"{{title}} on {surface}", "blurry",
            Placement(Anchor.BOTTOM, 0.5, 0.8, 0.55, 0.8), Sampler(),
        )
        for i, surface in enumerate(SURFACES)
    )  # fmt: skip
    slugs, formats = tuple(t.slug for t in templates), tuple(FORMATS)[:4]
    specs = [
        CampaignSpec(f"camp-{i:02}", f"Campaign {i}", slugs, formats) for i in range(CAMPAIGNS)
    ]
    database = Database(url)
    try:
        with database.transaction() as tx:
            ws = workspaces.ensure(tx, workspace)
            scenes.upsert_pack(tx, ws, ScenePack("seed", 1, templates))
            for spec in specs:
                campaigns.apply(tx, ws, spec)
    finally:
        database.dispose()
    return {
        "ws": ws,
        "slug": workspace,
        "n": creatives // (SCENES * len(formats)),
        "campaigns": CAMPAIGNS,
        "runs": RUNS_EACH,
        "scenes": SCENES,
        "workers": WORKERS,
        "batch": BATCH,
        "formats": ", ".join(f"'{f}'" for f in formats),
        "spec": f"'{json.dumps(_render_spec().to_json())}'",
        "finish": f"'{specs[0].finishing_for(formats[0]).finish_hash}'",
        "gates": f"'{gate_set_hash(DEFAULT_GATES)}'",
        "reasons": f"'{REASONS}'",
    }


def _render_spec() -> RenderSpec:
    return RenderSpec(
        photo_sha256="", mask_sha256="", prompt="a trail running shoe on wet rock",
        negative_prompt="blurry, text", product_box=Box(100.0, 120.0, 300.0, 280.0),
        native=Size(512, 512), sampler=Sampler(), seed=7, weights_hash="w" * 64, dtype="bfloat16",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--creatives", type=int, default=1_000_000)
    parser.add_argument("--workspace", default="seed")
    given = parser.parse_args()
    for step, seconds in seed(given.url, given.workspace, given.creatives):
        print(f"{step:12} {seconds:8.1f} s", flush=True)


if __name__ == "__main__":
    main()
