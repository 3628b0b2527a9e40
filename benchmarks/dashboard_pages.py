"""Server time of every page of the dashboard over a large database, and the plan of each query.

    python -m benchmarks.dashboard_pages [--creatives 1000000] [--rounds 20] [--database URL]

Seeds an embedded Postgres (benchmarks/dashboard_seed.py), measures the figures of all runs as the
dashboard's watch does, then asks for each page as one person does, signed in, in turn, with ids and
words that change: time from request to the whole answer, templates included, in the server's own
process. Afterwards each statement that the pages sent is explained with the parameters that it had;
a sequential scan over a table that grows with creatives is named, and makes the benchmark fail.
`--database` takes one that was seeded before, and adds nothing to it but an account.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import event, text

from adloom.catalog import Price
from adloom.states import Role
from benchmarks.dashboard_seed import seed
from benchmarks.databases import scratch_database
from dashboard.access.cookies import cookie_name
from dashboard.app import create_app
from dashboard.context import Dashboard
from db.engine import Database
from db.queries import workspaces
from db.queries.figures import stale
from storage.local import LocalStore
from tasks import figures, sign_in, users
from tasks.environment import Environment, Rendering

GROWING = frozenset({"creative", "render", "run_item", "verdict", "score", "rendition", "batch"})
"""Tables that are never read whole for a page."""
LIMIT_MS = 150.0
WORDS = ("red cup", "oak", "sku-12", "jacket 4", "acme shoe", "lamp white")


@dataclass
class Seen:
    """The statements of one page, each with the parameters that it had last."""

    statements: dict[str, Any] = field(default_factory=dict[str, Any])


@contextmanager
def open_seeded(url: str, workspace: str, folder: Path) -> Iterator[Environment]:
    database = Database(url)
    try:
        with database.transaction() as tx:
            ws = workspaces.ensure(tx, workspace)
        store = LocalStore(folder / "objects")
        yield Environment(database, store, workspace, ws, Rendering(folder), "benchmark")
    finally:
        database.dispose()


def measure_figures(env: Environment) -> dict[str, float]:
    """Until no run's figures are missing; the live one is measured once."""
    began, took = time.perf_counter(), list[float]()
    while True:
        with env.database.transaction() as tx:
            wanted = stale(tx, env.workspace_id, every_s=1e6, limit=1000)
        if not wanted:
            break
        for run_id in wanted:
            at = time.perf_counter()
            figures.measure(env, run_id)
            took.append(time.perf_counter() - at)
    return {
        "runs": len(took),
        "seconds": round(time.perf_counter() - began, 1),
        "slowest_run_s": round(max(took, default=0.0), 2),
    }


def addresses(env: Environment) -> dict[str, list[str]]:
    """For each kind of page some addresses that exist."""
    with env.database.transaction() as tx:

        def ids(statement: str) -> list[Any]:
            return list(tx.execute(text(statement), {"ws": env.workspace_id}).scalars())

        all_runs = ids("SELECT id FROM run WHERE workspace_id = :ws ORDER BY id")
        large = ids("SELECT min(id) FROM run WHERE workspace_id = :ws GROUP BY campaign_id")
        products = ids("SELECT id FROM product WHERE workspace_id = :ws ORDER BY id LIMIT 100000")
        photos = ids("SELECT sha256 FROM photo WHERE workspace_id = :ws LIMIT 1000")
        creatives = ids("SELECT id FROM creative WHERE workspace_id = :ws ORDER BY id LIMIT 100000")
        slugs = ids("SELECT slug FROM campaign WHERE workspace_id = :ws ORDER BY slug")
    some_products, some = random.sample(products, min(40, len(products))), all_runs[-1:]
    return {
        "/runs": [
            "/runs",
            f"/runs?before={all_runs[len(all_runs) // 2]}",
            f"/runs?campaign={slugs[0]}",
        ],
        "/runs/{small}": [f"/runs/{r}" for r in random.sample(all_runs, 20)],
        "/runs/{large}": [f"/runs/{r}" for r in large],
        "/runs/{live}": [f"/runs/{r}" for r in some],
        "/runs/{run}/failures": [f"/runs/{r}/failures?reason=cuda" for r in large],
        "/runs/{run}/retry": [f"/runs/{r}/retry?error_class=RenderError" for r in large],
        "/runs/{run}/cancel": [f"/runs/{r}/cancel" for r in [*some, *large]],
        "/campaigns": ["/campaigns"],
        "/campaigns/{slug}": [f"/campaigns/{s}" for s in slugs],
        "/catalogue": ["/catalogue", f"/catalogue?after={products[len(products) // 2]}"],
        "/catalogue?q=": [f"/catalogue?q={w}" for w in WORDS],
        "/catalogue?problems": ["/catalogue?problems=1"],
        "/catalogue/{product}": [f"/catalogue/{p}" for p in some_products],
        "/catalogue/…/photos/…": [
            f"/catalogue/{some_products[0]}/photos/{s}" for s in random.sample(photos, 20)
        ],
        "/scenes": ["/scenes"],
        "/scenes/{slug}": ["/scenes/surface-1"],
        "/numbers": ["/numbers", "/numbers?days=all", f"/numbers?campaign={slugs[1]}"],
        "/numbers/….csv": ["/numbers/categories.csv?days=all", "/numbers/costs.csv?days=all"],
        "/review": ["/review", f"/review?campaign={slugs[0]}", f"/review?campaign={slugs[1]}"],
        "/creatives/{creative}": [f"/creatives/{c}" for c in random.sample(creatives, 40)],
        "/api/v1/runs": ["/api/v1/runs"],
        "/api/v1/products": ["/api/v1/products?q=oak"],
    }


@contextmanager
def visiting(env: Environment, folder: Path) -> Iterator[TestClient]:
    """A person who is signed in as an admin, at an application without its watch."""
    dashboard = Dashboard(
        env, b"s" * 32, folder / "thumbnails", gpu_hour_price=Price(Decimal("2.50"), "USD")
    )
    app = create_app(dashboard)
    if "bench" not in {account.name for account in users.listed(env)}:
        users.add(env, "bench", Role.ADMIN, password=None)
    link = users.create_link(env, "bench")
    session = sign_in.by_link(env, link, sign_in.Client("127.0.0.1", "benchmark"))
    client = TestClient(app, base_url=dashboard.url, headers={"Accept": "text/html"})
    client.cookies.set(cookie_name(dashboard), session.token)
    yield client


def time_pages(
    env: Environment, client: TestClient, rounds: int
) -> tuple[list[dict[str, Any]], dict[str, Seen]]:
    """What each page took, ms, and its statements. A page that does not exist is left out."""
    lines, seen = list[dict[str, Any]](), dict[str, Seen]()
    for name, paths in addresses(env).items():
        if client.get(paths[0]).status_code == 404:
            continue
        seen[name] = Seen()
        with noted(env, seen[name]):
            took = [_asked(client, paths[n % len(paths)]) for n in range(rounds)]
        cuts = statistics.quantiles(took, n=20, method="inclusive")
        line = {
            "page": name,
            "p50_ms": round(statistics.median(took), 1),
            "p95_ms": round(cuts[18], 1),
        }
        lines.append({**line, "statements": len(seen[name].statements)})
    return lines, seen


def _asked(client: TestClient, path: str) -> float:
    began = time.perf_counter()
    answer = client.get(path)
    took = 1000 * (time.perf_counter() - began)
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:500]}")
    return took


@contextmanager
def noted(env: Environment, seen: Seen) -> Iterator[None]:
    """Notes the statements that are sent meanwhile."""
    engine = env.database._engine

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        seen.statements[statement] = parameters

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)


def plans(env: Environment, seen: dict[str, Seen]) -> Iterator[dict[str, Any]]:
    """The plan of each statement, in short: its page, cost, nodes, and what it reads whole."""
    told: set[str] = set()
    for name, of_page in seen.items():
        for statement, parameters in of_page.statements.items():
            if statement in told or not statement.lstrip().upper().startswith(("SELECT", "WITH")):
                continue
            told.add(statement)
            if "set_config" in statement:
                continue
            with env.database.transaction() as tx:
                driver = tx.connection().connection.cursor()
                driver.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                plan = driver.fetchone()[0][0]["Plan"]
            nodes = list(_nodes(plan))
            yield {
                "page": name,
                "statement": " ".join(statement.split())[:90],
                "cost": round(plan["Total Cost"]),
                "reads": sorted({_read(n) for n in nodes if "Relation Name" in n}),
                "whole": sorted({
                    n["Relation Name"] for n in nodes
                    if n["Node Type"] == "Seq Scan" and n["Relation Name"] in GROWING
                }),
            }  # fmt: skip


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _read(node: dict[str, Any]) -> str:
    by = f" by {node['Index Name']}" if "Index Name" in node else ""
    return f"{node['Node Type']} {node['Relation Name']}{by}"


def measure(url: str, workspace: str, folder: Path, rounds: int) -> dict[str, Any]:
    with open_seeded(url, workspace, folder) as env:
        measured = measure_figures(env)
        print("figures", json.dumps(measured), flush=True)
        with visiting(env, folder) as client:
            lines, seen = time_pages(env, client, rounds)
        for line in lines:
            slow = "  SLOW" if line["p95_ms"] > LIMIT_MS else ""
            print(f"{line['page']:24} p50 {line['p50_ms']:7.1f} ms  p95 {line['p95_ms']:7.1f} ms  "
                  f"{line['statements']:2} statements{slow}", flush=True)  # fmt: skip
        explained = list(plans(env, seen))
    for plan in explained:
        print(
            f"\n{plan['page']}: {plan['statement']}\n"
            f"  cost {plan['cost']}: {'; '.join(plan['reads'])}"
        )
        if plan["whole"]:
            print(f"  READS WHOLE: {', '.join(plan['whole'])}")
    return {
        "figures": measured,
        "pages": lines,
        "slowest_p95_ms": max(line["p95_ms"] for line in lines),
        "statements": len(explained),
        "read_whole": sorted({t for plan in explained for t in plan["whole"]}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--creatives", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workspace", default="seed")
    parser.add_argument("--database", help="a database that was seeded before")
    given = parser.parse_args()
    random.seed(1)
    with tempfile.TemporaryDirectory(prefix="adloom-pages-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if given.database:
            found = measure(given.database, given.workspace, folder, given.rounds)
        else:
            with scratch_database(folder) as url:
                for step, seconds in seed(url, given.workspace, given.creatives):
                    print(f"seeding {step:12} {seconds:8.1f} s", flush=True)
                found = measure(url, given.workspace, folder, given.rounds)
    print(json.dumps({"creatives": given.creatives, **found}))
    if found["read_whole"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
