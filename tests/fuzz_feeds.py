"""Feeds of arbitrary cells, injured: each must end in rows and reasons, or in an error of ours.

    python -m tests.fuzz_feeds --cases 10000

Catalogues of any text are written in every format, and most of them then bitten, cut, spliced and
overwritten. The command fails on the first error of another family, the first row without a known
reason, and the first case that takes too long.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from openpyxl.utils.exceptions import IllegalCharacterError

from adloom.catalog import ProductRecord
from adloom.errors import InvalidInputError
from adloom.feed_rows import RowReason
from catalog_connectors import open_source
from tests.unit.intake.feeds import ROWS, WRITERS, Row

LONGEST_S = 10.0
_TELLING = [b'"', b"\n", b"\r", b"\t", b",", b"<", b"&", b"]", b"}", b"\x00", b"\xff", b"\xe9"]
_TELLING += [b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&nbsp;", b"<![CDATA[", b"\xef\xbb\xbf", b"[" * 99]

_text = st.text(st.characters(exclude_categories=[]), max_size=40)
_printable = st.text(st.characters(exclude_categories=["C"]), max_size=20)
_fields = sorted({*ROWS[0], "description", "availability", "sale_price", "link", "color"})


@st.composite
def catalogues(draw: st.DrawFn) -> list[Row]:
    """Rows like a shop's, some cells of them anything."""
    rows = [dict(row) for row in draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=4))]
    for row in rows:
        for name in draw(st.lists(st.sampled_from(_fields), max_size=3)):
            row[name] = draw(_text | _printable)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name, "") for name in names} for row in rows]


_pieces = st.sampled_from(_TELLING) | st.binary(min_size=1, max_size=16)
_injuries = st.lists(
    st.tuples(
        st.sampled_from(["put", "over", "drop", "cut", "copy"]),
        st.floats(0, 1),
        st.floats(0, 1),
        _pieces,
    ),
    max_size=6,
)
feeds = st.tuples(st.sampled_from(sorted(WRITERS)), catalogues(), _injuries)
"""A format, a catalogue, and what is to happen to its bytes: kinds, places, pieces."""


def written(name: str, rows: list[Row]) -> bytes:
    """The catalogue in a format; text that its library refuses to write is left to the others."""
    try:
        return WRITERS[name](rows)
    except (ValueError, TypeError, IllegalCharacterError):
        return WRITERS[name](ROWS)


def injured(content: bytes, injuries: list[tuple[str, float, float, bytes]]) -> bytes:
    body = bytearray(content)
    for kind, place, extent, piece in injuries:
        at, some = int(place * len(body)), 1 + int(extent * 200)
        match kind:
            case "put":
                body[at:at] = piece
            case "over":
                body[at : at + len(piece)] = piece
            case "drop":
                del body[at : at + some]
            case "cut":
                del body[at:]
            case _:
                start = int(extent * len(body))
                body[at:at] = body[start : start + some]
    return bytes(body)


def outcome(path: Path, content: bytes) -> Counter[str]:
    """How many products, and which reasons; or the error. Anything else is raised."""
    path.write_bytes(content)
    ends = Counter[str]()
    begun = time.perf_counter()
    try:
        for record in open_source("feed", str(path)).records():
            if isinstance(record, ProductRecord):
                assert record.external_id
                assert record.photos
                ends["product"] += 1
            else:
                assert record.detail
                ends[RowReason(record.reason).value] += 1
    except InvalidInputError as error:
        ends[type(error).__name__ if str(error) else "nothing said"] += 1
    assert "nothing said" not in ends
    assert time.perf_counter() - begun < LONGEST_S
    return ends


def fuzz(folder: Path, cases: int, *, start: int = 0) -> Counter[str]:
    """Runs so many cases; returns how they ended."""
    ends = Counter[str]()

    def case(feed: tuple[str, list[Row], list[tuple[str, float, float, bytes]]]) -> None:
        name, rows, injuries = feed
        ends.update(outcome(folder / "feed", injured(written(name, rows), injuries)))

    settled: Callable[[Callable[[], None]], Callable[[], None]] = settings(
        max_examples=cases, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    settled(seed(start)(given(feeds)(case)))()
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        ends = fuzz(Path(folder), asked.cases, start=asked.seed)
    print(json.dumps({
        "fuzz": "feeds", "cases": asked.cases, "seconds": round(time.perf_counter() - begun),
        "ends": dict(ends.most_common()),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
