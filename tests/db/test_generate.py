"""A batch as a worker makes it: a small model, a real store, a real database."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import stamina
from sqlalchemy import text

from adloom.campaign import Selection
from adloom.errors import (
    DatabaseUnavailableError,
    HandedBackError,
    LeaseLostError,
    ModelError,
    StorageUnavailableError,
)
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.keys import mask_key, photo_key, render_key
from adloom.states import AttemptEnding, BatchState
from db.engine import Database, Transaction
from db.queries import attempts, batches, cancelling, submissions
from storage.local import LocalStore
from storage.protocol import PutResult
from tasks import resident
from tasks.environment import Environment, Rendering
from tasks.generate import BatchReport, generate
from tasks.refusals import refusals
from tasks.stopping import Stop, StopReason, heeded
from tests.db.world import World, campaign, record, sha
from tests.unit.imaging.pictures import drawn_cutout
from tests.unit.refadgen.conftest import small_pipeline

MICRO_BATCH = 2
PRODUCTS = ("p0", "p1")  # each in two scenes: 4 renders


@dataclass(frozen=True)
class Night:
    """A run that is planned, cut into one batch, and ready to be rendered."""

    world: World
    env: Environment
    run: int
    batch: int

    def generate(self, on_progress: Callable[[BatchReport], None] = lambda _: None) -> BatchReport:
        return generate(self.env, self.batch, model="tiny", on_progress=on_progress)

    def storing_in(self, store: LocalStore) -> "Night":
        return replace(self, env=replace(self.env, store=store))

    def rows(self) -> list[dict[str, object]]:
        statement = "SELECT * FROM render WHERE workspace_id = :ws ORDER BY id"
        with self.world.database.transaction() as tx:
            found = tx.execute(text(statement), {"ws": self.world.ws})
            return [dict(row) for row in found.mappings()]

    def states(self) -> dict[str, int]:
        counted: dict[str, int] = {}
        for row in self.rows():
            counted[str(row["state"])] = counted.get(str(row["state"]), 0) + 1
        return counted

    def scored(self) -> int:
        """Finished images whose scores are stored."""
        statement = """SELECT count(*) FROM rendition n JOIN render r ON r.id = n.render_id
            JOIN score s ON s.render_id = r.id AND s.finish_hash = n.finish_hash
            WHERE r.workspace_id = :ws"""
        with self.world.database.transaction() as tx:
            return int(tx.execute(text(statement), {"ws": self.world.ws}).scalar_one())

    def steal(self) -> None:
        self.world.expire(self.batch)
        self.world.claimed(self.batch, "another")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    small_pipeline().save_pretrained(root / "tiny")
    return root


@pytest.fixture
def night(world: World, weights: Path, tmp_path: Path) -> Night:
    rendering = Rendering(weights, micro_batch=MICRO_BATCH, allow_noncommercial_weights=True)
    store = LocalStore(tmp_path / "objects")
    for n, name in enumerate(PRODUCTS):
        drawn = drawn_cutout(n)
        photo = sha(record(name).photos[0].location)
        put(store, photo_key(world.slug, photo), encode(drawn.photo, ImageFormat.PNG))
        put(
            store,
            mask_key(world.slug, sha(f"mask of {photo}")),
            encode(drawn.mask, ImageFormat.PNG),
        )
    env = Environment(world.database, store, world.slug, world.ws, rendering, "worker")
    spec = campaign(formats=("1:1",), steps=1, selection=Selection(external_ids=PRODUCTS))
    run = world.run(spec, renderer=resident.identity("tiny", rendering))
    (batch,) = world.cut(run)
    return Night(world, env, run, batch)


def photo_of(row: dict[str, object]) -> str:
    spec = row["spec"]
    assert isinstance(spec, dict)
    return str(spec["photo_sha256"])


def put(store: LocalStore, key: str, content: bytes) -> None:
    store.put(key, content, content_type="image/png")


def test_a_batch_is_rendered_stored_finished_and_scored(night: Night) -> None:
    seen: list[BatchReport] = []
    report = night.generate(seen.append)
    assert (report.rendered, report.adopted, report.failed) == (4, 0, 0)
    assert report.render_seconds > 0
    rows = night.rows()
    assert night.states() == {"rendered": 4}
    for row in rows:
        content = night.env.store.get(str(row["object_key"]))
        spec = row["spec"]
        assert isinstance(spec, dict)
        native = spec["native"]
        assert decode(content).shape == (native["height"], native["width"], 3)
    assert len({row["sha256"] for row in rows}) == 4
    assert night.scored() == 4
    assert [r.rendered for r in seen] == sorted(r.rendered for r in seen)
    assert seen[-1].rendered == 4


def test_a_render_whose_object_is_there_is_adopted_and_not_made(night: Night) -> None:
    there = night.rows()[0]
    key = render_key(night.world.slug, str(there["fingerprint"]))
    put(night.env.store, key, encode(drawn_cutout().photo, ImageFormat.PNG))
    report = night.generate()
    assert (report.rendered, report.adopted, report.failed) == (3, 1, 0)
    assert night.rows()[0]["timings"] == {"adopted": 1.0}
    assert night.states() == {"rendered": 4}


def test_a_missing_photo_and_a_damaged_object_fail_their_own_renders_alone(night: Night) -> None:
    rows = night.rows()
    lost = photo_of(rows[0])
    damaged = next(row for row in rows if photo_of(row) != lost)
    night.env.store.delete(photo_key(night.world.slug, lost))
    put(night.env.store, render_key(night.world.slug, str(damaged["fingerprint"])), b"no picture")
    report = night.generate()
    assert (report.rendered, report.failed) == (1, 3)
    assert night.states() == {"rendered": 1, "failed": 3}
    classes = sorted(str(r["error_class"]) for r in night.rows() if r["state"] == "failed")
    assert classes == ["InvalidInputError", "ObjectMissingError", "ObjectMissingError"]


def test_what_is_cancelled_meanwhile_is_not_made(night: Night) -> None:
    asked = 0

    def cancel(_: BatchReport) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:  # the first micro-batch is rendered
            with night.world.database.transaction() as tx:
                cancelling.cancel(tx, night.run)

    report = night.generate(cancel)
    assert report.rendered == MICRO_BATCH
    assert night.states() == {"rendered": MICRO_BATCH, "cancelled": 4 - MICRO_BATCH}


def test_a_lease_lost_between_micro_batches_ends_the_work(night: Night) -> None:
    with pytest.raises(LeaseLostError):
        night.generate(lambda _: night.steal())
    assert night.states() == {"leased": 4}


class Hooked(LocalStore):
    """A store to which something happens as a render is put."""

    def __init__(self, root: Path, before: Callable[[int], None]) -> None:
        super().__init__(root)
        self.before, self.renders = before, 0
        self.one_at_a_time = threading.Lock()

    def put(self, key: str, data: bytes, *, content_type: str) -> PutResult:
        if "/renders/" in key:
            with self.one_at_a_time:
                self.renders += 1
                self.before(self.renders)
        return super().put(key, data, content_type=content_type)


def test_a_lease_lost_while_a_render_is_put_writes_no_row(night: Night, tmp_path: Path) -> None:
    def steal_first(number: int) -> None:
        if number == 1:
            night.steal()

    with pytest.raises(LeaseLostError):
        night.storing_in(Hooked(tmp_path / "objects", steal_first)).generate()
    assert night.states() == {"leased": 4}


def test_after_an_outage_of_the_store_the_batch_is_gone_on_with(
    night: Night, tmp_path: Path
) -> None:
    def away_from_the_third(number: int) -> None:
        if number > 2:
            raise StorageUnavailableError("the store does not answer")

    with pytest.raises(StorageUnavailableError):
        night.storing_in(Hooked(tmp_path / "objects", away_from_the_third)).generate()
    assert night.states() == {"rendered": 2, "pending": 2}
    with night.world.database.transaction() as tx:
        assert batches.get(tx, night.batch).attempts == 0, "an outage is no fault of the batch"
    report = night.generate()
    assert (report.rendered, report.adopted) == (2, 0)
    assert night.states() == {"rendered": 4}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MB; skips where this user may mount none."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("a file system that gets full needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_in_one_line_and_loses_nothing(night: Night, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as disk:
        shutil.copytree(tmp_path / "objects", disk, dirs_exist_ok=True)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        full = night.storing_in(LocalStore(disk))
        with pytest.raises(StorageUnavailableError, match=r"no room left .*free some"):
            full.generate()
        assert night.states() == {"pending": 4}
        with night.world.database.transaction() as tx:
            assert batches.get(tx, night.batch).attempts == 0, (
                "a full disk is no fault of the batch"
            )
        filler.unlink()
        report = full.generate()
        assert report.rendered + report.adopted == 4
        assert night.states() == {"rendered": 4}
        assert not list((disk / ".unfinished").iterdir())


class AwayDatabase(Database):
    """The same database, which does not answer the next `away` transactions."""

    def __init__(self, like: Database) -> None:
        self.__dict__.update(like.__dict__)
        self.away = 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError("the database does not answer")
        with super().transaction() as tx:
            yield tx


def test_after_an_outage_of_the_database_nothing_that_is_stored_is_made_again(
    night: Night, tmp_path: Path
) -> None:
    database = AwayDatabase(night.env.database)

    def away_with_the_first(number: int) -> None:
        if number == 1:
            database.away = 3

    store = Hooked(tmp_path / "objects", away_with_the_first)
    away = replace(night, env=replace(night.env, database=database, store=store))
    with stamina.set_testing(True, attempts=5):  # waits for nothing between its attempts
        report = away.generate()
    assert store.renders == 4, "a render was put twice"
    assert report.adopted, "what was put before the outage is taken over"
    assert night.states() == {"rendered": 4}
    with night.world.database.transaction() as tx:
        [tried] = attempts.of_run(tx, night.run)
    assert tried.ending is AttemptEnding.FINISHED


@pytest.mark.parametrize(("gently", "rendered"), [(True, 4), (False, MICRO_BATCH)])
def test_told_to_stop_it_finishes_or_hands_back_and_no_attempt_is_counted(
    night: Night, gently: bool, rendered: int
) -> None:
    stop, asked = Stop(), 0

    def tell(_: BatchReport) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:  # the first micro-batch is rendered
            stop.request(StopReason.DRAINING, gently=gently)

    with heeded(stop):
        if gently:
            night.generate(tell)
        else:
            with pytest.raises(HandedBackError):
                night.generate(tell)
    assert night.states().get("rendered", 0) >= rendered
    with night.world.database.transaction() as tx:
        [tried] = attempts.of_run(tx, night.run)
        left = batches.get(tx, night.batch)
    if gently:
        assert (left.state, tried.ending) == (BatchState.DONE, AttemptEnding.FINISHED)
        return
    assert (left.state, left.attempts) == (BatchState.PENDING, 0)
    assert tried.ending is AttemptEnding.DRAINED
    report = night.generate()
    assert night.states() == {"rendered": 4}
    assert report.rendered + report.adopted <= 4 - MICRO_BATCH


def test_a_batch_planned_for_another_renderer_version_is_left_alone(night: Night) -> None:
    statement = "UPDATE render SET spec = jsonb_set(spec, '{renderer_version}', '\"0\"')"
    with night.world.database.transaction() as tx:
        tx.execute(text(f"{statement} WHERE workspace_id = :ws"), {"ws": night.world.ws})
    with pytest.raises(ModelError, match=r"version 0; this is version 1.*planned anew"):
        night.generate()
    with night.world.database.transaction() as tx:
        assert batches.get(tx, night.batch).state is BatchState.PENDING
        assert attempts.of_run(tx, night.run) == ()


def test_a_batch_prepared_for_another_s_weights_is_left_alone(night: Night) -> None:
    with night.world.database.transaction() as tx:
        tx.execute(
            text(
                "UPDATE render SET spec = jsonb_set(spec, '{weights_hash}', '\"other\"') "
                "WHERE workspace_id = :ws"
            ),
            {"ws": night.world.ws},
        )
    with night.world.database.transaction() as tx:
        submissions.mark(tx, night.run, limit=1)
    with pytest.raises(ModelError, match="pinned to weights other"):
        night.generate()
    refused = [r for r in refusals().listed() if r["weights"] == "other"]
    assert [(r["model"], "pinned to weights other" in r["reason"]) for r in refused] == [
        ("tiny", True)
    ]
    with pytest.raises(ModelError, match="pinned to weights other"):
        refusals().check("tiny", "other")
    with night.world.database.transaction() as tx:
        assert batches.get(tx, night.batch).state is BatchState.PENDING
        assert attempts.of_run(tx, night.run) == ()
        assert [s.number for s in submissions.mark(tx, night.run, limit=1)] == [2]  # let go
