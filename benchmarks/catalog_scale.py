"""A whole catalogue synced into Postgres, images off: products a second, and the memory it takes.

    python -m benchmarks.catalog_scale [--rows 100000 1000000] [--formats tsv xml]

Feeds are generated into a temporary folder, Postgres is the embedded one. Each sync is a process
of its own, whose peak memory is reported (Postgres has its own, which its settings bound). Each
size is synced three times: into an empty database, the same again, and with 1 % changed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO
from xml.sax.saxutils import escape

from adloom.catalog import Delivery
from benchmarks.databases import measured, open_bench, scratch_database
from db.queries import catalog

COLUMNS = (
    "id", "title", "description", "link", "image_link", "additional_image_link", "availability",
    "price", "brand", "product_type", "item_group_id",
)  # fmt: skip
DESCRIPTION = (
    "A light shoe for long days on soft ground, with a wide toe box and a grippy sole. " * 3
)


def rows(n: int, *, changed: float = 0.0) -> Iterator[tuple[str, ...]]:
    """The fields of `n` products; of a share `changed`, evenly spread, another price."""
    every = round(1 / changed) if changed else 0
    for i in range(n):
        price = f"{10 + i % 90}.{'50' if every and i % every == 0 else '90'} EUR"
        yield (
            f"SKU-{i:08d}", f"Trail running shoe model {i} in blue", DESCRIPTION,
            f"https://shop.example/p/{i}", f"https://cdn.example/img/{i}.jpg",
            f"https://cdn.example/img/{i}-b.jpg", "in stock", price, "Acme",
            "Apparel & Accessories > Shoes > Running", f"G{i // 4}",
        )  # fmt: skip


def write_tsv(file: TextIO, products: Iterator[tuple[str, ...]]) -> None:
    file.write("\t".join(COLUMNS) + "\n")
    file.writelines("\t".join(fields) + "\n" for fields in products)


def write_xml(file: TextIO, products: Iterator[tuple[str, ...]]) -> None:
    file.write('<?xml version="1.0"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">')
    file.write("<channel><title>Shop</title>\n")
    for fields in products:
        cells = "".join(
            f"<g:{name}>{escape(value)}</g:{name}>"
            for name, value in zip(COLUMNS, fields, strict=True)
        )
        file.write(f"<item>{cells}</item>\n")
    file.write("</channel></rss>\n")


WRITERS: dict[str, Callable[[TextIO, Iterator[tuple[str, ...]]], None]] = {
    "tsv": write_tsv,
    "xml": write_xml,
}


def sync_here(url: str, slug: str) -> dict[str, Any]:
    """One sync in this process: its counts, seconds and peak memory."""
    from tasks.catalog import finish_sync, read_rows

    with open_bench(url) as env:
        with measured(url) as took:
            report = read_rows(env, slug)
        finish_sync(env, report.sync_id, report.counts)
    c = report.counts
    return {
        "added": c.added, "changed": c.changed, "unchanged": c.unchanged, "rejected": c.rejected,
        "products_per_s": round(c.rows / took[0].seconds), **asdict(took[0]),
    }  # fmt: skip


def measure(url: str, folder: Path, kind: str, n: int) -> Iterator[dict[str, Any]]:
    """The three syncs of one size and format."""
    slug, feed = f"{kind}-{n}", folder / f"feed-{n}.{kind}"
    with open_bench(url) as env, env.database.transaction() as tx:
        catalog.add_source(
            tx, env.workspace_id, slug=slug, kind="feed", location=str(feed),
            delivery=Delivery.SNAPSHOT,
        )  # fmt: skip
    for what, share in (("first", 0.0), ("again", 0.0), ("1 % changed", 0.01)):
        if what != "again":
            with feed.open("w", encoding="utf-8") as file:
                WRITERS[kind](file, rows(n, changed=share))
        child = [sys.executable, "-m", "benchmarks.catalog_scale", "--sync", url, slug]
        done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        yield {"format": kind, "rows": n, "sync": what, **found}
    feed.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", choices=sorted(WRITERS), default=["tsv", "xml"])
    parser.add_argument("--sync", nargs=2, metavar=("URL", "SOURCE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sync:
        print(json.dumps(sync_here(*arguments.sync)))
        return
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="adloom-scale-") as folder:
        Path(folder).chmod(0o755)
        with scratch_database(Path(folder)) as url:
            for kind in arguments.formats:
                for n in arguments.rows:
                    for line in measure(url, Path(folder), kind, n):
                        print("  ".join(f"{k} {v}" for k, v in line.items()), flush=True)
                        found.append(line)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
