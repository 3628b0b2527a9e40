"""The review queue's next item, and decisions, among a million creatives.

    python -m benchmarks.review_queue [--creatives 1000000] [--waiting 0.15] [--rounds 300]

Rows are inserted directly into an embedded Postgres: 20 creatives of each product, each rendered,
finished, scored and judged once; the share `--waiting` of them needs review. Timed are the
functions that the API calls (`tasks.reviewing`), database and all, in this process; the limit is
100 ms for the next item. Four reviewers take and decide at once in the last part. Plans are asked
of Postgres for each filter; a sequential scan of any large table is reported. `--database` takes
one that `benchmarks.dashboard_seed` filled, with filters of what waits there.
"""

import argparse
import json
import re
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from adloom.geometry import FORMATS, Anchor, Box, Placement, Size
from adloom.records import ReviewChoice, ReviewFilter, ReviewWord
from adloom.render_spec import RenderSpec, Sampler
from adloom.review_reasons import DEFAULT_REASONS
from adloom.scenes import ScenePack, SceneTemplate
from adloom.states import ReviewDecision, Trigger
from benchmarks.dashboard_pages import open_seeded
from benchmarks.databases import open_bench, scratch_database
from db.queries import campaigns, review_queue, runs, scenes
from tasks import reviewing
from tasks.environment import Environment

LIMIT_MS = 100.0
SCENES = tuple(f"surface-{i}" for i in range(5))
LARGE = ("creative", "run_item", "render", "rendition", "verdict", "score", "review_queue")

_SEED = """
INSERT INTO catalog_source (workspace_id, slug, kind, location, delivery, options)
VALUES (:ws, 'bench', 'feed', '/nowhere', 'snapshot', '{}');
INSERT INTO product (workspace_id, source_id, external_id, title, category, brand, description,
    link, availability, content_hash)
SELECT :ws, (SELECT max(id) FROM catalog_source), 'sku-' || i, 'Trail running shoe ' || i,
    'Apparel > Shoes > Kind ' || i % 40, 'Acme', '', '', 'in_stock', ''
FROM generate_series(1, :products) AS i;
INSERT INTO creative (workspace_id, campaign_id, product_id, photo_role, scene_slug, format_slug,
    variant)
SELECT :ws, :campaign, p.id, 'main', s.slug, f.slug, 0
FROM product p CROSS JOIN unnest(CAST(:scenes AS text[])) AS s(slug)
CROSS JOIN unnest(CAST(:formats AS text[])) AS f(slug);
INSERT INTO render (workspace_id, fingerprint, spec, state, object_key, sha256, bytes, device,
    timings)
SELECT :ws, encode(sha256(CAST('render ' || c.id AS bytea)), 'hex'),
    jsonb_set(CAST(:spec AS jsonb), '{seed}', to_jsonb(c.id)), 'rendered', 'k', 's', 1, 'cpu', '{}'
FROM creative c;
INSERT INTO rendition (workspace_id, render_id, finish_hash, sha256, object_key, media_type, width,
    height, bytes, details)
SELECT :ws, r.id, 'finish', encode(sha256(CAST('file ' || r.id AS bytea)), 'hex'),
    'bench/renditions/' || encode(sha256(CAST('file ' || r.id AS bytea)), 'hex'), 'image/webp',
    1080, 1080, 100000, '{}'
FROM render r;
INSERT INTO score (render_id, stage, finish_hash, revision, workspace_id, values)
SELECT r.id, 'model', 'raw', 'scorer', :ws,
    jsonb_build_object('identity', 0.5 + (r.id * 7919 % 4000) / 10000.0, 'growth', 0.1)
FROM render r;
INSERT INTO run_item (workspace_id, run_id, creative_id, render_id, scene_version, draw,
    finish_hash, disposition, outcome, ended_at)
SELECT :ws, :run, c.id, r.id, 1, 0, 'finish', 'new',
    CASE WHEN c.id * 7919 % 1000 < 1000 * :waiting THEN CAST('needs_review' AS outcome)
        ELSE 'approved' END, now()
FROM creative c JOIN render r
    ON r.fingerprint = encode(sha256(CAST('render ' || c.id AS bytea)), 'hex');
INSERT INTO verdict (workspace_id, run_item_id, gate_set_hash, decision, reasons)
SELECT :ws, i.id, 'gates', CASE i.outcome WHEN 'needs_review' THEN CAST('needs_review' AS decision)
        ELSE 'approved' END,
    CASE i.outcome WHEN 'needs_review' THEN jsonb_build_array(jsonb_build_object(
        'code', CASE WHEN i.id % 997 = 0 THEN 'FINAL_SAFETY_NEAR' ELSE 'MODEL_IDENTITY_NEAR' END,
        'score', 'model.identity', 'value', 0.55 + (i.id % 4001) / 100000.0, 'min', 0.57,
        'max', NULL)) ELSE '[]' END
FROM run_item i
"""

FILTERS: dict[str, ReviewFilter] = {
    "none": ReviewFilter(),
    "campaign": ReviewFilter(campaign="bench"),
    "scene": ReviewFilter(scene="surface-3"),
    "category": ReviewFilter(category="Apparel > Shoes > Kind 7"),
    "rare reason": ReviewFilter(reason="FINAL_SAFETY_NEAR"),
    "no such reason": ReviewFilter(reason="NOTHING"),
    "score": ReviewFilter(score="model.identity", score_min=0.55, score_max=0.56),
    "scene, category, score": ReviewFilter(
        scene="surface-1", category="Apparel > Shoes > Kind 3", score="model.identity",
        score_max=0.7,
    ),
}  # fmt: skip


_SOME = text("""
SELECT k.slug, q.scene_slug, q.category FROM review_queue q JOIN campaign k ON k.id = q.campaign_id
WHERE q.workspace_id = :ws LIMIT 1
""")


def seed(env: Environment, creatives: int, waiting: float) -> None:
    products = max(1, creatives // (len(SCENES) * len(FORMATS)))
    templates = tuple(
        SceneTemplate(slug, 1, slug, "{title}", "", Placement(Anchor.BOTTOM, 0.5, 0.8, 0.55, 0.8),
                      Sampler())
        for slug in SCENES
    )  # fmt: skip
    spec = RenderSpec(
        "a" * 64, "b" * 64, "a shoe", "blurry", Box(10.0, 10.0, 60.0, 60.0), Size(128, 128),
        Sampler(), 0, "w" * 64, "float32",
    )  # fmt: skip
    with env.database.transaction() as tx:
        scenes.upsert_pack(tx, env.workspace_id, ScenePack("bench", 1, templates))
        campaigns.apply(
            tx, env.workspace_id, CampaignSpec("bench", "Bench", SCENES, tuple(FORMATS))
        )
        campaign = campaigns.get(tx, env.workspace_id, "bench").id
        run = runs.create(tx, env.workspace_id, "bench", trigger=Trigger.MANUAL, weights_hash=None)
    values: dict[str, Any] = {
        "ws": env.workspace_id, "products": products, "campaign": campaign, "run": run,
        "scenes": list(SCENES), "formats": list(FORMATS), "spec": json.dumps(spec.to_json()),
        "waiting": waiting,
    }  # fmt: skip
    for statement in _SEED.split(";"):
        with env.database.transaction() as tx:
            tx.execute(text(statement), {k: v for k, v in values.items() if f":{k}" in statement})
    with env.database.transaction() as tx:
        items = tx.execute(text("SELECT id FROM run_item WHERE outcome = 'needs_review'"))
        review_queue.refresh(tx, list(items.scalars()))
        tx.execute(text("ANALYZE"))


def timed(rounds: int, step: Callable[[int], object]) -> dict[str, float]:
    taken: list[float] = []
    for n in range(rounds):
        started = time.perf_counter()
        step(n)
        taken.append(1000 * (time.perf_counter() - started))
    ordered = sorted(taken)
    return {
        "p50_ms": round(statistics.median(ordered), 2),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 2),
        "max_ms": round(ordered[-1], 2),
    }


def take_and_decide(env: Environment, name: str, rounds: int) -> tuple[list[int], dict[str, float]]:
    """One reviewer's work, as the page does it: the next, decided on, and so on. Returns the
    creatives, and the times of both together."""
    seen: list[int] = []

    def step(_: int) -> None:
        (item,) = reviewing.next_items(env, name, ReviewFilter())
        assert item.claim
        choice = ReviewChoice(item.view.creative_id, item.claim.image_sha256)
        word = ReviewWord(name, ReviewDecision.APPROVE, uuid.uuid4().hex)
        reviewing.decide(env, choice, word, DEFAULT_REASONS)
        seen.append(item.view.creative_id)

    return seen, timed(rounds, step)


def plans(env: Environment, filters: Mapping[str, ReviewFilter]) -> dict[str, dict[str, list[str]]]:
    """By filter: the indexes by which the next item is found, and sequential scans of large
    tables."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, chosen in filters.items():
        with env.database.transaction() as tx:
            plan = [
                line.strip(" ->") for line in review_queue.explain(tx, env.workspace_id, chosen)
            ]
        found[name] = {
            "indexes": sorted(set(re.findall(r"(?:using|Index Scan on) (\w+)", "\n".join(plan)))),
            "sequential": [
                line for line in plan
                if "Seq Scan" in line and any(f" on {table} " in line for table in LARGE)
            ],
        }  # fmt: skip
    return found


def filters_of(env: Environment) -> dict[str, ReviewFilter]:
    """Filters that find something in a database that another benchmark seeded."""
    with env.database.transaction() as tx:
        campaign, scene, category = tx.execute(_SOME, {"ws": env.workspace_id}).one()
    return {
        "none": ReviewFilter(),
        "campaign": ReviewFilter(campaign=campaign),
        "scene": ReviewFilter(scene=scene),
        "category": ReviewFilter(category=category),
        "scene, category, score": ReviewFilter(
            scene=scene, category=category, score="model.identity", score_max=0.7
        ),
    }


def measure(
    env: Environment, rounds: int, filters: Mapping[str, ReviewFilter] = FILTERS
) -> dict[str, Any]:
    report: dict[str, Any] = {"next": {}, "waiting": {}}
    for name, chosen in filters.items():
        reviewing.next_items(env, "first", chosen)
        report["next"][name] = timed(
            max(20, rounds // 5), lambda n, c=chosen: reviewing.next_items(env, f"reader {n}", c)
        )
        report["waiting"][name] = timed(20, lambda _, c=chosen: reviewing.waiting(env, c))
    report["choices"] = timed(20, lambda _: reviewing.choices(env))
    with ThreadPoolExecutor(4) as pool:
        names = ("ann", "bob", "cid", "dora")
        work = list(pool.map(lambda name: take_and_decide(env, name, rounds // 4), names))
    together = [creative for seen, _ in work for creative in seen]
    report["four at once"] = {
        "decided": len(together),
        "twice": len(together) - len(set(together)),
        "take_and_decide_p95_ms": max(taken["p95_ms"] for _, taken in work),
    }
    report["plans"] = plans(env, filters)
    report["sequential scans"] = sum(len(plan["sequential"]) for plan in report["plans"].values())
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--creatives", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=float, default=0.15)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--database", help="one that benchmarks.dashboard_seed filled")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adloom-review-") as folder:
        Path(folder).chmod(0o755)
        if arguments.database:
            with open_seeded(arguments.database, "seed", Path(folder)) as env:
                report = measure(env, arguments.rounds, filters_of(env))
        else:
            with scratch_database(Path(folder)) as url, open_bench(url) as env:
                started = time.perf_counter()
                seed(env, arguments.creatives, arguments.waiting)
                print(f"seeded in {time.perf_counter() - started:.0f} s", flush=True)
                report = measure(env, arguments.rounds)
    for name, taken in report["next"].items():
        print(f"next, {name:24} {taken}")
    worst = max(taken["p95_ms"] for taken in report["next"].values())
    report |= {
        "creatives": arguments.creatives, "limit_ms": LIMIT_MS, "worst_p95_ms": worst,
        "share_of_limit": round(worst / LIMIT_MS, 3),
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
