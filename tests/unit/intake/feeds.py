"""One catalogue written in every format, whole or damaged."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from adloom.catalog import ProductRecord, RejectedRow
from catalog_connectors import open_source

Row = dict[str, Any]

ROWS: list[Row] = [
    {
        "id": f"sku-{n}",
        "title": f"Café cup {n} <large> & round",
        "image_link": f"https://cdn.example/{n}.jpg",
        "additional_image_link": [f"https://cdn.example/{n}-b.jpg", f"https://cdn.example/{n}-c.jpg"],
        "price": f"{n}.50 EUR",
        "item_group_id": "cups",
        "size": "SML"[n % 3],
    }
    for n in range(1, 13)
]  # fmt: skip


def joined(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def delimited(rows: Sequence[Row], delimiter: str = "\t") -> bytes:
    lines = [delimiter.join(rows[0])]
    for row in rows:
        cells = [joined(v) for v in row.values()]
        lines.append(delimiter.join(f'"{c}"' if delimiter in c else c for c in cells))
    return ("\n".join(lines) + "\n").encode()


def elements(row: Row, prefix: str = "g:") -> str:
    return "".join(
        f"<{prefix}{name}>{escape(str(part))}</{prefix}{name}>"
        for name, value in row.items()
        for part in (value if isinstance(value, list) else [value])
    )


def rss(rows: Sequence[Row]) -> bytes:
    items = "".join(f"<item>{elements(row)}</item>\n" for row in rows)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>'
        f"<title>Shop</title><link>https://shop.example</link>{items}</channel></rss>\n"
    ).encode()


def atom(rows: Sequence[Row]) -> bytes:
    entries = "".join(
        f'<entry><link rel="self" href="https://x.example/"/><link href="https://shop.example/p"/>'
        f"{elements(row, 'shop:')}</entry>"
        for row in rows
    )
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:shop="http://base.google.com/ns/1.0">'
        f"<title>Shop</title>{entries}</feed>"
    ).encode()


def json_lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def json_list(rows: Sequence[Row]) -> bytes:
    return json.dumps(list(rows), indent=1).encode()


def json_products(rows: Sequence[Row]) -> bytes:
    return json.dumps({"products": list(rows)}).encode()


def parquet(rows: Sequence[Row]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer, row_group_size=500)
    return buffer.getvalue()


def xlsx(rows: Sequence[Row]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append([joined(v) if isinstance(v, list) else v for v in row.values()])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def zipped(content: bytes, name: str = "feed", **others: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in {name: content, **others}.items():
            archive.writestr(member, data)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "tsv": delimited,
    "csv": lambda rows: delimited(rows, ","),
    "rss": rss,
    "atom": atom,
    "json-lines": json_lines,
    "json-list": json_list,
    "json-products": json_products,
    "parquet": parquet,
    "xlsx": xlsx,
    "tsv.gz": lambda rows: gzip.compress(delimited(rows)),
    "rss.gz": lambda rows: gzip.compress(rss(rows)),
    "parquet.gz": lambda rows: gzip.compress(parquet(rows)),
    "csv.zip": lambda rows: zipped(delimited(rows, ",")),
    "xlsx.zip": lambda rows: zipped(xlsx(rows)),
    "tsv.gz.zip": lambda rows: zipped(gzip.compress(delimited(rows))),
}


def read(folder: Path, content: bytes, **options: object) -> list[ProductRecord | RejectedRow]:
    """What a local feed of these bytes gives; its name tells nothing."""
    path = folder / "feed"
    path.write_bytes(content)
    return list(open_source("feed", str(path), options=options).records())


def outcomes(rows: Sequence[ProductRecord | RejectedRow]) -> list[str]:
    return [r.reason if isinstance(r, RejectedRow) else r.external_id for r in rows]
