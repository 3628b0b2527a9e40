"""What a sync makes of a feed that shrank, broke off or did not change, in every format."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from adloom.catalog import Delivery
from adloom.errors import ConflictError, FeedError, ShrinkRefusedError
from db.queries import catalog, syncs, variants
from db.queries.syncs import latest
from storage.local import LocalStore
from tasks.catalog import RowsReport, add_source, finish_sync, read_rows, show_products
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign, record
from tests.unit.intake.feeds import ROWS, WRITERS, Row, delimited

MANY: list[Row] = [{**ROWS[0], "id": f"p{n}"} for n in range(20)]


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    rendering = Rendering(weights_root=tmp_path)
    return Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")


def sync(env: Environment, slug: str, *, allow_shrink: bool = False) -> RowsReport:
    report = read_rows(env, slug, allow_shrink=allow_shrink)
    finish_sync(env, report.sync_id, report.counts)
    return report


def active(env: Environment, slug: str) -> int:
    with env.database.transaction() as tx:
        return catalog.get_source(tx, env.workspace_id, slug).active_products


@pytest.mark.parametrize("name", WRITERS)
def test_a_snapshot_without_a_third_of_the_products_or_cut_off_is_refused(
    env: Environment, tmp_path: Path, name: str
) -> None:
    feed = tmp_path / "feed"
    feed.write_bytes(WRITERS[name](MANY))
    add_source(env, "f", "feed", str(feed))
    assert sync(env, "f").counts.added == 20

    whole = feed.read_bytes()
    feed.write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(FeedError):
        sync(env, "f")
    assert active(env, "f") == 20

    feed.write_bytes(WRITERS[name](MANY[:14]))
    with pytest.raises(ShrinkRefusedError, match="lacks 6 of 20"):
        sync(env, "f")
    assert active(env, "f") == 20
    assert sync(env, "f", allow_shrink=True).counts.deactivated == 6
    assert active(env, "f") == 14


def test_an_end_that_nothing_proves_makes_no_product_inactive(
    env: Environment, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.tsv"
    feed.write_bytes(delimited(MANY))
    add_source(env, "f", "feed", str(feed))
    sync(env, "f")
    feed.write_bytes(delimited(MANY[:19]).rstrip())
    with pytest.raises(ShrinkRefusedError, match=r"lacks 1 of 20 .* nothing proves"):
        sync(env, "f")
    feed.write_bytes(delimited(MANY).rstrip())
    assert sync(env, "f").counts.unchanged == 20
    feed.write_bytes(delimited(MANY[:19]))
    assert sync(env, "f").counts.deactivated == 1


WRONG: dict[str, tuple[bytes, bytes, dict[str, str]]] = {
    "an unclosed quote": (b"title\tid\timage_link\n", b'Mug\t{}\t"https://h.example/a.jpg\n', {}),
    "a delimiter too many": (b"title\tid\timage_link\n", b"A\tmug\t{}\thttps://h.example/a\n", {}),
    "broken JSON": (
        b'{"id": "x", "title": "x", "image_link": "https://h.example/x"}\n', b'{"id": "{}",\n', {}
    ),
    "JSON too long": (
        b'{"item_id": "x", "title": "x", "image_url": "https://h.example/x"}\n',
        b'{"title": "' + b"x" * 130_000 + b'", "item_id": "{}"}\n', {"mapping": "openai"},
    ),
    "a damaged id": (b"title\tid\timage_link\n\xc3\xa9\t0\thttps://h.example/0\n",
                     b"Mug\t{}\xff\thttps://h.example/a.jpg\n", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_refused_row_keeps_its_product_wherever_its_id_stands(
    env: Environment, tmp_path: Path, name: str
) -> None:
    head, wrong, options = WRONG[name]
    if head.startswith(b"title"):
        rows = [f"Mug\tp{n}\thttps://h.example/{n}.jpg\n".encode() for n in range(20)]
    else:
        key = "item_id" if options else "id"
        link = "image_url" if options else "image_link"
        rows = [
            f'{{"{key}": "p{n}", "title": "Mug", "{link}": "https://h.example/{n}"}}\n'.encode()
            for n in range(20)
        ]
    feed = tmp_path / "feed"
    feed.write_bytes(head + b"".join(rows))
    add_source(env, "f", "feed", str(feed), options=options)
    before = sync(env, "f").counts.added
    feed.write_bytes(head + b"".join([*rows[:18], wrong.replace(b"{}", b"p18"), rows[19]]))
    report = sync(env, "f")
    assert (report.counts.rejected, report.counts.deactivated) == (1, 0)
    assert active(env, "f") == before


def test_rows_that_name_no_product_make_none_inactive_unless_told_to(
    env: Environment, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.tsv"
    feed.write_bytes(delimited(MANY))
    add_source(env, "f", "feed", str(feed))
    sync(env, "f")
    feed.write_bytes(delimited([*MANY[:18], {**MANY[18], "id": ""}]))
    report = sync(env, "f")
    assert (report.counts.deactivated, active(env, "f")) == (0, 20)
    assert report.problems[0].reason == "UNNAMED_ROWS"
    assert report.problems[0].detail.startswith("2 products that it does not name")
    feed.write_bytes(delimited([*MANY[:10], {**MANY[18], "id": ""}]))
    with pytest.raises(ShrinkRefusedError):  # the 20 % hold as ever
        sync(env, "f")
    feed.write_bytes(delimited([*MANY[:18], {**MANY[18], "id": ""}]))
    assert sync(env, "f", allow_shrink=True).counts.deactivated == 2


@pytest.fixture
def served() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server of one feed; its tag is its length."""
    content: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = content["feed"]
            tag = f'"{len(body)}"'
            same = self.headers.get("If-None-Match") == tag
            self.send_response(304 if same else 200)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", "0" if same else str(len(body)))
            self.end_headers()
            if not same:
                self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/feed", content
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_unchanged_feed_costs_one_question_and_changes_nothing(
    env: Environment, served: tuple[str, dict[str, bytes]]
) -> None:
    url, content = served
    env = replace(env, allow_private_addresses=True)
    content["feed"] = delimited(MANY)
    add_source(env, "f", "feed", url)
    assert sync(env, "f").counts.added == 20
    again = sync(env, "f")
    assert (again.counts.rows, again.counts.deactivated, active(env, "f")) == (0, 0, 20)
    assert sync(env, "f", allow_shrink=True).counts.deactivated == 0
    content["feed"] = delimited(MANY[:10])
    with pytest.raises(ShrinkRefusedError):
        sync(env, "f")
    with pytest.raises(ShrinkRefusedError):  # what was refused is not what is known
        sync(env, "f")
    content["feed"] = delimited(MANY[:19])
    assert sync(env, "f").counts.deactivated == 1
    add_source(env, "f", "feed", url)
    assert sync(env, "f").counts.rows == 19  # added again, read anew
    with env.database.transaction() as tx:
        source = catalog.get_source(tx, env.workspace_id, "f")
        last = latest(tx, env.workspace_id, source.id)
    assert source.cursor["etag"] == f'"{len(content["feed"])}"'
    assert last is not None
    assert last.counts.unchanged == 19


@pytest.mark.parametrize("tail", [b"", b"p1\tMug"], ids=["too few products", "cut off"])
def test_a_feed_that_is_as_before_a_failed_sync_is_read_again(
    env: Environment, served: tuple[str, dict[str, bytes]], tail: bytes
) -> None:
    url, content = served
    env = replace(env, allow_private_addresses=True)
    first = delimited(MANY)
    content["feed"] = first
    add_source(env, "f", "feed", url)
    sync(env, "f")
    content["feed"] = delimited([{**row, "title": "Wrong"} for row in MANY[:10]]) + tail
    with pytest.raises(FeedError if tail else ShrinkRefusedError):
        sync(env, "f")
    content["feed"] = first
    assert sync(env, "f").counts.changed == 10
    assert "Wrong" not in {line.title for line in show_products(env, "f", limit=50)}
    assert sync(env, "f").unchanged


def test_a_source_added_anew_ends_its_sync_which_then_leaves_no_cursor(
    env: Environment, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.tsv"
    feed.write_bytes(delimited(MANY))
    source = add_source(env, "f", "feed", str(feed))
    with env.database.transaction() as tx:
        running = syncs.begin(tx, env.workspace_id, source.id)
    add_source(env, "f", "feed", str(feed))
    with pytest.raises(ConflictError, match="added anew"), env.database.transaction() as tx:
        syncs.keep_cursor(tx, running, {"etag": "old"})
    with env.database.transaction() as tx:
        last = syncs.latest(tx, env.workspace_id, source.id)
        assert catalog.get_source(tx, env.workspace_id, "f").cursor == {}
    assert last is not None
    assert last.error_message == "the source was added anew before this sync ended"


def test_a_sync_that_begins_while_its_source_is_added_anew_reads_the_new_one(
    env: Environment, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.tsv", tmp_path / "new.tsv"
    old.write_bytes(delimited(MANY))
    new.write_bytes(delimited([{**row, "title": "New"} for row in MANY]))
    source = add_source(env, "f", "feed", str(old))
    with ThreadPoolExecutor(1) as pool:
        with env.database.transaction() as tx:
            syncs.interrupt(tx, source.id, "the source is added anew")
            begun = pool.submit(sync, env, "f")
            assert not wait([begun], timeout=0.5).done
            catalog.add_source(
                tx, env.workspace_id, slug="f", kind="feed", location=str(new),
                delivery=Delivery.SNAPSHOT,
            )  # fmt: skip
        assert begun.result(timeout=60).counts.added == len(MANY)
    assert {line.title for line in show_products(env, "f", limit=50)} == {"New"}


def test_sizes_of_one_garment_that_share_a_photo_are_told(env: Environment, tmp_path: Path) -> None:
    def shirt(n: int, color: str, size: str, group: str = "shirt") -> Row:
        return {
            "id": f"s{n}", "title": f"Shirt {size}", "image_link": f"https://h.example/{color}.jpg",
            "item_group_id": group, "size": size, "color": color, "sale_price": "9.00 EUR",
            "price": "12 EUR",
        }  # fmt: skip

    rows = [shirt(1, "red", "S"), shirt(2, "red", "M"), shirt(3, "red", "L"),
            shirt(4, "blue", "S"), shirt(5, "red", "S", "other")]  # fmt: skip
    feed = tmp_path / "feed.tsv"
    feed.write_bytes(delimited(rows))
    add_source(env, "f", "feed", str(feed))
    sync(env, "f")
    lines = {line.external_id: line for line in show_products(env, "f", limit=10)}
    shared = lines["s2"].shared_photo
    assert shared is not None
    assert (shared.products, shared.differ_by) == (3, ("size",))
    assert lines["s2"].attributes == {"color": "red", "size": "M"}
    assert lines["s2"].item_group_id == "shirt"
    assert lines["s4"].shared_photo is None
    assert lines["s5"].shared_photo is None
    with env.database.transaction() as tx:
        view = catalog.product(tx, env.workspace_id, "s1", source="f")
        assert variants.photo_sharing(tx, []) == {}
    assert view.sale_price is not None
    assert str(view.sale_price.amount) == "9.00"


def test_sizes_that_share_a_photo_are_slots_of_their_own_and_one_render(world: World) -> None:
    small = replace(record("s"), item_group_id="shirt", attributes=(("size", "S"),))
    world.sync([small, replace(small, external_id="m", attributes=(("size", "M"),))], complete=True)
    world.fetch_photos()
    slots = world.planned(campaign())
    assert len({s.slot for s in slots}) == len(slots) == 8
    assert len({s.spec.fingerprint for s in slots}) == 4
