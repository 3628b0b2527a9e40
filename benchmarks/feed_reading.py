"""Feeds read into product records, nothing stored: rows a CPU second, and the memory it takes.

    python -m benchmarks.feed_reading [--rows 50000 200000]

The same products in every format, each read by a process of its own whose CPU time and peak memory
are reported; `floor_mb` is the memory of the process before it reads.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from adloom.catalog import ProductRecord
from catalog_connectors import open_source

DESCRIPTION = "A light shoe for long days on soft ground, with a wide toe box & a grippy sole. " * 4

Row = dict[str, str]


def rows(count: int) -> Iterator[Row]:
    for n in range(count):
        yield {
            "id": f"SKU-{n:08d}", "title": f"Trail running shoe model {n} in blue",
            "description": DESCRIPTION, "link": f"https://shop.example/p/{n}",
            "image_link": f"https://cdn.example/img/{n}.jpg",
            "additional_image_link": f"https://cdn.example/img/{n}-b.jpg",
            "availability": "in stock", "price": f"{10 + n % 90}.90 EUR", "brand": "Acme",
            "product_type": "Apparel & Accessories > Shoes > Running",
            "item_group_id": f"G{n // 4}", "size": str(38 + n % 4), "color": "blue",
        }  # fmt: skip


def write_tsv(path: Path, products: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        first = next(products)
        writer = csv.DictWriter(file, list(first), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(products)


def write_xml(path: Path, products: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write('<rss xmlns:g="http://base.google.com/ns/1.0"><channel>\n')
        for row in products:
            cells = "".join(f"<g:{k}>{escape(v)}</g:{k}>" for k, v in row.items())
            file.write(f"<item>{cells}</item>\n")
        file.write("</channel></rss>\n")


def write_json_lines(path: Path, products: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in products)


def write_parquet(path: Path, products: Iterator[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = next(products)
    schema = pa.schema([(name, pa.string()) for name in first])
    with pq.ParquetWriter(path, schema) as writer:
        batch = [first]
        for row in products:
            batch.append(row)
            if len(batch) == 10_000:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema))


WRITERS: dict[str, Callable[[Path, Iterator[Row]], None]] = {
    "tsv": write_tsv, "xml": write_xml, "jsonl": write_json_lines, "parquet": write_parquet,
}  # fmt: skip


def peak_mb() -> float:
    """The process' own peak; `getrusage` would count its parent's from before it was another."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def read(path: Path) -> None:
    """The work of one process: reads the feed, prints what it took."""
    floor, begun, count = peak_mb(), time.process_time(), 0
    for record in open_source("feed", str(path)).records():
        count += isinstance(record, ProductRecord)
    seconds = time.process_time() - begun
    print(json.dumps({
        "rows": count, "rows_per_cpu_s": round(count / seconds),
        "floor_mb": round(floor), "peak_mb": round(peak_mb()),
    }))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--formats", nargs="+", choices=list(WRITERS), default=list(WRITERS))
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read is not None:
        return read(asked.read)
    found: dict[str, list[dict[str, int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.formats:
            for count in asked.rows:
                path = Path(folder) / "feed"
                WRITERS[name](path, rows(count))
                command = [sys.executable, "-m", "benchmarks.feed_reading", "--read", str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found.setdefault(name, []).append(json.loads(done.stdout))
                print(name, found[name][-1], flush=True)
    print(json.dumps({"benchmark": "feed_reading", "formats": found}))


if __name__ == "__main__":
    main()
