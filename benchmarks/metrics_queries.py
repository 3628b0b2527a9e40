"""What a look at the fleet costs Postgres, in the middle of a large night.

    python -m benchmarks.metrics_queries [--renders 200000] [--nights 30]

Rows are inserted directly: one live run of so many items (60 % rendered, 2 % failed, the rest
waiting in batches of 32), and the attempts of `nights` nights like it. Every query of `adloom
metrics` is timed (median of five, after one), beside the plain count of all renders by state that
it does without. `share`: of one connection, by how often a query is asked again at most.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from adloom.campaign import CampaignSpec
from benchmarks.databases import open_bench, scratch_database
from db.engine import Transaction
from db.queries import campaigns, metrics, workers
from tasks.environment import Environment
from tasks.metrics import FRESH_S, AttemptsEver, CampaignsCompleted

_NIGHT = """
INSERT INTO run (workspace_id, campaign_id, spec, trigger, state, planned_slots)
SELECT :ws, c.id, c.spec, 'manual', 'rendering', :n FROM campaign c;
INSERT INTO batch (workspace_id, run_id, state, size)
SELECT :ws, r.id, CASE WHEN b * 32 < :n * 0.62 THEN CAST('done' AS batch_state)
    ELSE 'pending' END, 32
FROM run r CROSS JOIN generate_series(0, :n / 32 - 1) AS b;
INSERT INTO render (workspace_id, fingerprint, spec, state, batch_id, object_key, sha256, device,
    error_class, error_message, timings)
SELECT :ws, encode(sha256(CAST('r' || i AS bytea)), 'hex'), jsonb_build_object(
        'weights_hash', repeat('w', 64), 'dtype', 'float32',
        'native', jsonb_build_object('width', 512, 'height', 640),
        'photo_sha256', encode(sha256(CAST('p' || i / 20 AS bytea)), 'hex'),
        'mask_sha256', encode(sha256(CAST('m' || i / 20 AS bytea)), 'hex'),
        'prompt', repeat('a shoe on sand ', 9)),
    CAST(s.state AS render_state), b.first + i / 32,
    CASE s.state WHEN 'rendered' THEN 'k' END, CASE s.state WHEN 'rendered' THEN 's' END, 'cuda',
    CASE s.state WHEN 'failed' THEN 'RenderError' END, 'no', '{"render_s": 1.5}'
FROM generate_series(0, :n - 1) AS i
CROSS JOIN (SELECT min(id) AS first FROM batch) AS b
CROSS JOIN LATERAL (SELECT CASE WHEN i >= :n * 0.62 THEN 'pending' WHEN i % 31 = 0 THEN 'failed'
    ELSE 'rendered' END AS state) AS s;
INSERT INTO run_item (workspace_id, run_id, creative_id, render_id, scene_version, draw,
    finish_hash, disposition, outcome, error_class, error_message)
SELECT :ws, u.id, r.id, r.id, 1, 0, 'f', 'new', CASE r.state WHEN 'failed' THEN
        CAST('failed' AS outcome) WHEN 'pending' THEN 'open' ELSE 'approved' END,
    r.error_class, r.error_message FROM render r CROSS JOIN run u
"""

_HISTORY = """
INSERT INTO batch_attempt (batch_id, epoch, workspace_id, owner, worker, renders, started_at,
    ended_at, ending)
SELECT b.id, e, :ws, 'w:1', 'w', 32, now() - make_interval(days => e), now() - make_interval(
    days => e), CASE WHEN b.id % 50 = 0 THEN CAST('lost' AS attempt_ending) ELSE 'finished' END
FROM batch b CROSS JOIN generate_series(1, :nights) AS e;
VACUUM ANALYZE
"""

_PLAIN = text("SELECT state, count(*) FROM render GROUP BY state")


def prepare(env: Environment, renders: int, nights: int) -> None:
    with env.database.transaction() as tx:
        campaigns.apply(tx, env.workspace_id, CampaignSpec("bench", "Bench", ("beach",), ("1:1",)))
    values = {"ws": env.workspace_id, "n": renders, "nights": nights}
    for statement in (_NIGHT + ";" + _HISTORY).split(";"):
        if "VACUUM" in statement:
            statement = "ANALYZE"
        with env.database.transaction() as tx:
            tx.execute(text(statement), {k: v for k, v in values.items() if f":{k}" in statement})


def queries(env: Environment) -> dict[str, Callable[[Transaction], Any]]:
    ws = env.workspace_id
    ever = AttemptsEver(ws)
    return {
        "workers": lambda tx: workers.listed(tx, ws, within_s=3600.0),
        "queue": lambda tx: metrics.queue(tx, ws),
        "renders": lambda tx: metrics.renders(tx, ws),
        "attempts, first": lambda tx: AttemptsEver(ws)(tx),
        "attempts": ever,
        "runs": lambda tx: metrics.live_runs(tx, ws),
        "campaigns": CampaignsCompleted(ws),
        "plain count of renders": lambda tx: tx.execute(_PLAIN).all(),
    }


def timed(env: Environment, ask: Callable[[Transaction], Any]) -> float:
    """Milliseconds."""
    took: list[float] = []
    for _ in range(6):
        began = time.perf_counter()
        with env.database.transaction() as tx:
            ask(tx)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took[1:])


def measure(folder: Path, renders: int, nights: int) -> Iterator[dict[str, Any]]:
    with scratch_database(folder) as url, open_bench(url) as env:
        prepare(env, renders, nights)
        for name, ask in queries(env).items():
            ms = timed(env, ask)
            again_ms = max(1000 * FRESH_S, 20 * ms)
            yield {"query": name, "ms": round(ms, 2), "share": round(ms / again_ms, 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--renders", type=int, default=200_000)
    parser.add_argument("--nights", type=int, default=30)
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="adloom-metrics-") as folder:
        Path(folder).chmod(0o755)
        for line in measure(Path(folder), arguments.renders, arguments.nights):
            print(
                f"{line['query']:24} {line['ms']:9.2f} ms   share {line['share']:.5f}", flush=True
            )
            found.append(line)
    print(json.dumps({"renders": arguments.renders, "nights": arguments.nights, "queries": found}))


if __name__ == "__main__":
    main()
