"""Products in, by chunks: changes are known, losses guarded, and bad rows stop nothing."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from adloom.catalog import (
    PhotoRef,
    PhotoRole,
    Price,
    ProductRecord,
    RejectedRow,
    SyncCounts,
)
from adloom.cutouts import MaskOrigin
from adloom.errors import ConflictError, FeedError, NotFoundError, ShrinkRefusedError
from adloom.records import PhotoProblem, SyncState, UpsertCounts
from db.queries import catalog, cutouts, photos, selection, syncs
from tests.db.world import EXTRACTOR, World, campaign, cutout, record, sha

MENTIONS = text("""
SELECT count(*) FROM sync_mention m JOIN catalog_sync s ON s.id = m.sync_id
WHERE s.workspace_id = :ws
""")


def test_a_sync_says_what_was_added_changed_and_unchanged(world: World) -> None:
    with world.database.transaction() as tx:
        sync_id = syncs.begin(tx, world.ws, world.source_id)
        rows = [record("p0"), record("p1", title="New"), record("new")]
        counts = syncs.upsert_products(tx, sync_id, rows)
    assert (counts.added, counts.changed, counts.unchanged) == (1, 1, 1)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "y"])), max_size=12))
def test_upserts_conserve_counts_and_repeat_as_unchanged(
    world: World, rows: list[tuple[str, str]]
) -> None:
    chunk = [record(name, title=title) for name, title in rows]
    with world.database.transaction() as tx:
        sync_id = syncs.begin(tx, world.ws, world.source_id)
        first = syncs.upsert_products(tx, sync_id, chunk)
        assert first.added + first.changed + first.unchanged + len(first.repeated) == len(rows)
        counted = list({r.external_id: r for r in reversed(chunk)}.values())
        assert len(syncs.upsert_products(tx, sync_id, counted).repeated) == len(counted)
        next_id = syncs.begin(tx, world.ws, world.source_id)
        again = syncs.upsert_products(tx, next_id, counted)
        assert again == UpsertCounts(unchanged=len(counted))


def test_of_a_repeated_id_the_first_good_row_counts(world: World) -> None:
    def said(line: int, title: str) -> ProductRecord:
        return replace(record("p9", title=title), line=line)

    with world.database.transaction() as tx:
        sync_id = syncs.begin(tx, world.ws, world.source_id)
        syncs.record_rejections(tx, sync_id, [RejectedRow(2, "p9", "BAD_PRICE", "x")])
        first = syncs.upsert_products(tx, sync_id, [said(3, "first"), said(4, "second")])
        later = syncs.upsert_products(tx, sync_id, [said(5, "third")])
        assert catalog.product(tx, world.ws, "p9").title == "first"
    assert (first.added, later.added) == (1, 0)
    assert [(r.line, r.reason, r.detail) for r in (*first.repeated, *later.repeated)] == [
        (4, "DUPLICATE_ID", "the id was there in line 3"),
        (5, "DUPLICATE_ID", "the id was there in line 3"),
    ]


def test_a_row_that_says_the_same_is_not_written(world: World) -> None:
    version = text("SELECT external_id, xmin, changed_at FROM product WHERE workspace_id = :ws")

    def versions() -> dict[str, tuple[object, object]]:
        with world.database.transaction() as tx:
            return {r[0]: (r[1], r[2]) for r in tx.execute(version, {"ws": world.ws})}

    before = versions()
    world.sync([record("p0"), record("p1", title="Other"), record("p2")], complete=True)
    after = versions()
    assert [name for name in sorted(before) if before[name] != after[name]] == ["p1"]


def test_a_sync_that_was_killed_leaves_nothing_inactive_and_the_next_completes(
    world: World,
) -> None:
    with world.database.transaction() as tx:  # its process dies after this chunk
        killed = syncs.begin(tx, world.ws, world.source_id)
        syncs.upsert_products(tx, killed, [record("p0")])
    with world.database.transaction() as tx:
        assert catalog.get_source(tx, world.ws, "shop").active_products == 3
    world.sync([record("p0"), record("p1"), record("p2")], complete=True)
    with world.database.transaction() as tx:
        assert catalog.get_source(tx, world.ws, "shop").active_products == 3
        assert tx.execute(MENTIONS, {"ws": world.ws}).scalar_one() == 0


def test_text_that_postgres_refuses_is_stored_without_it(world: World) -> None:
    world.sync([record("p9", title="nul \x00 and \ud800 half")])
    with world.database.transaction() as tx:
        assert catalog.product(tx, world.ws, "p9").title == "nul  and ? half"


def test_prices_stay_exact(world: World) -> None:
    world.sync([record("p9", price="12345678901234567890.10")])
    with world.database.transaction() as tx:
        price = catalog.product(tx, world.ws, "p9").price
    assert price == Price(Decimal("12345678901234567890.10"), "EUR")


def test_a_complete_snapshot_makes_missing_products_inactive(world: World) -> None:
    world.sync([record("p0"), record("p1")], complete=True)
    with world.database.transaction() as tx:
        assert catalog.get_source(tx, world.ws, "shop").active_products == 2
        assert not catalog.product(tx, world.ws, "p2").active
    world.sync([record("p0"), record("p1"), record("p2")], complete=True)
    with world.database.transaction() as tx:
        assert catalog.product(tx, world.ws, "p2").active


def test_a_snapshot_that_drops_more_than_a_fifth_is_refused(world: World) -> None:
    world.sync([record(f"p{i}") for i in range(10)])
    with world.database.transaction() as tx:
        sync_id = syncs.begin(tx, world.ws, world.source_id)
        syncs.upsert_products(tx, sync_id, [record(f"p{i}") for i in range(7)])
        with pytest.raises(ShrinkRefusedError, match="3 of 10"):
            syncs.deactivate_missing(tx, sync_id, allow_shrink=False)
        syncs.upsert_products(tx, sync_id, [record("p7")])
        assert syncs.deactivate_missing(tx, sync_id, allow_shrink=False) == 2


def test_rejections_are_all_counted_and_some_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncs, "KEPT_REJECTIONS", 2)
    with world.database.transaction() as tx:
        sync_id = syncs.begin(tx, world.ws, world.source_id)
        for line in range(3):
            syncs.record_rejections(
                tx,
                sync_id,
                [
                    RejectedRow(line, None, "TITLE_MISSING", "no \x00 title"),
                    RejectedRow(line, "p1", "PRICE_BROKEN", "x"),
                ],
            )
        syncs.finish(tx, sync_id, SyncCounts(rows=6, rejected=6))
        kept = syncs.rejections(tx, sync_id)
        sync = syncs.get(tx, sync_id)
    assert [r.detail for r in kept] == ["no  title", "x"]
    assert sync.rejected_reasons == {"TITLE_MISSING": 3, "PRICE_BROKEN": 3}
    assert (sync.state, sync.counts) == (SyncState.COMPLETE, SyncCounts(rows=6, rejected=6))


def test_a_newer_sync_fences_the_older(world: World) -> None:
    with world.database.transaction() as tx:
        old = syncs.begin(tx, world.ws, world.source_id)
    with world.database.transaction() as tx:
        new = syncs.begin(tx, world.ws, world.source_id)
        assert syncs.get(tx, old).state is SyncState.FAILED
    with (
        pytest.raises(ConflictError, match="no longer running"),
        world.database.transaction() as tx,
    ):
        syncs.upsert_products(tx, old, [record("p0")])
    with pytest.raises(ConflictError), world.database.transaction() as tx:
        syncs.finish(tx, old, SyncCounts())
    with world.database.transaction() as tx:
        syncs.finish(tx, new, SyncCounts(), error=FeedError("unreadable"))
        latest = syncs.latest(tx, world.ws, world.source_id)
    assert latest is not None
    assert (latest.id, latest.error_class, latest.state) == (new, "FeedError", SyncState.FAILED)


def test_a_photo_reference_keeps_its_photo_until_its_location_changes(world: World) -> None:
    extra = PhotoRef("/photos/side.png", PhotoRole.ADDITIONAL, 1)
    world.sync([record("p0", title="Other words", extra=(extra, extra))])
    with world.database.transaction() as tx:
        found = catalog.product(tx, world.ws, "p0").photos
        assert [(p.location, p.photo_sha256 is None) for p in found] == [
            ("/photos/p0.png", False),
            ("/photos/side.png", True),
        ]
        assert found[0].validators.size == 12345
        assert photos.of_product(tx, world.ws, "p0").sha256 == found[0].photo_sha256
        with pytest.raises(NotFoundError, match="no additional photo"):
            photos.of_product(tx, world.ws, "p0", role=PhotoRole.ADDITIONAL)


def test_photos_to_fetch_come_page_by_page(world: World) -> None:
    with world.database.transaction() as tx:
        everything = photos.to_fetch(tx, world.ws, world.source_id)
        first = photos.to_fetch(tx, world.ws, world.source_id, limit=2)
        after = (first[-1].product_id, first[-1].location)
        rest = photos.to_fetch(tx, world.ws, world.source_id, after=after)
    assert len(everything) == 3
    assert first + rest == everything


def test_a_photo_problem_is_shown_until_the_photo_is_fetched(world: World) -> None:
    with world.database.transaction() as tx:
        ref = photos.to_fetch(tx, world.ws, world.source_id)[0]
        problem = PhotoProblem(ref.product_id, ref.external_id, ref.location, "TRUNCATED", "ends")
        gone = PhotoProblem(ref.product_id, ref.external_id, "/gone.png", "TRUNCATED", "ends")
        photos.record_problems(tx, [problem, problem, gone])
        shown = catalog.products(tx, world.ws, with_problems_only=True)
        assert [p.problems for p in shown] == [(problem,)]
        assert shown[0].photos[0].photo_sha256 is None
        skipped = list(selection.unplannable(tx, world.ws, campaign()))
        assert [(s.external_id, s.reason) for s in skipped] == [("p0", "PHOTO_PROBLEM")]
        assert "TRUNCATED: ends" in skipped[0].detail
    world.fetch_photos()
    with world.database.transaction() as tx:
        assert catalog.products(tx, world.ws, with_problems_only=True) == ()


def test_the_current_cutout_is_manual_before_alpha_before_the_newest(world: World) -> None:
    photo = sha("/photos/p0.png")

    def current() -> str:
        with world.database.transaction() as tx:
            found = cutouts.current(tx, world.ws, photo)
        assert found is not None
        return found.mask_sha256

    for made in (
        cutout(photo, "second", version="u2netp-2"),
        cutout(photo, "alpha", origin=MaskOrigin.ALPHA, version="alpha"),
        cutout(photo, "manual", origin=MaskOrigin.MANUAL, version="manual"),
        cutout(photo, "manual again", origin=MaskOrigin.MANUAL, version="manual"),
    ):
        with world.database.transaction() as tx:
            cutouts.upsert(tx, world.ws, [made])
        assert current() == made.mask_sha256
    with world.database.transaction() as tx:
        cutouts.upsert(tx, world.ws, [cutout(photo, "third", version="u2netp-3")])
    assert current() == sha("manual again")
    with world.database.transaction() as tx:
        assert cutouts.withdraw_manual(tx, world.ws, photo)
        assert not cutouts.withdraw_manual(tx, world.ws, photo)
    assert current() == sha("alpha")


def test_only_photos_that_an_extractor_has_not_seen_lack_a_cutout(world: World) -> None:
    with world.database.transaction() as tx:
        assert cutouts.photos_without_cutout(tx, world.ws, EXTRACTOR) == ()
        missing = cutouts.photos_without_cutout(tx, world.ws, "u2netp-2")
        assert len(missing) == 3
        cutouts.record_problem(tx, world.ws, missing[0].sha256, "u2netp-2", "MASK_EMPTY", "none")
        alpha = cutout(missing[1].sha256, origin=MaskOrigin.ALPHA, version="alpha")
        cutouts.upsert(tx, world.ws, [alpha])
        assert cutouts.photos_without_cutout(tx, world.ws, "u2netp-2") == missing[2:]


def test_unknown_names_are_answered_with_near_ones(world: World) -> None:
    with world.database.transaction() as tx:
        with pytest.raises(NotFoundError, match="did you mean shop"):
            catalog.get_source(tx, world.ws, "shp")
        with pytest.raises(NotFoundError, match="did you mean p0"):
            catalog.product(tx, world.ws, "pp0")
