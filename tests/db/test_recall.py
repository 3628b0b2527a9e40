"""What was recalled, or is no longer sold, is not made, judged or exported; the rest goes on."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from adloom.errors import ConflictError, InvalidInputError, NotFoundError
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import encode
from adloom.keys import photo_key
from adloom.planning import PlannedItem
from adloom.records import FailureFilter, RecallCounts, RecallFilter
from adloom.states import Outcome, RenderState, RunState
from db.queries import batches, creatives, leases, recalls, retrying, runs, selection
from storage.local import LocalStore
from tasks import recalls as tasks
from tasks.environment import Environment, Rendering
from tasks.export import export_run
from tests.db.world import World, campaign, record

SPEC = campaign()  # two scenes × two formats: 4 slots of a product


def issue(world: World, *, undo: bool = False, **conditions: Any) -> RecallCounts:
    chosen = RecallFilter(**conditions)
    with world.database.transaction() as tx:
        expected = recalls.count(tx, world.ws, chosen, undo=undo)
        done = recalls.issue(tx, world.ws, chosen, issuer="ann", reason="unsafe", undo=undo)
    assert (done.matched, done.marked) == (expected.matched, expected.marked)
    return done


def usable(world: World, run_id: int) -> set[str]:
    """The products of a run's approved creatives that may be used."""
    with world.database.transaction() as tx:
        found = creatives.of_run(tx, run_id)
        return {f"{v.product.external_id} {v.slot.scene_slug}" for v in found if not v.withdrawn}


def outcomes(world: World, run_id: int) -> dict[Outcome, int]:
    with world.database.transaction() as tx:
        assert runs.conservation(tx, run_id).holds
        return dict(runs.summary(tx, world.ws, run_id).outcomes)


def approved(world: World) -> int:
    run_id = world.run(SPEC)
    world.render_all(run_id)
    world.judge(run_id)
    return run_id


@pytest.mark.parametrize(
    ("chosen", "marked"),
    [
        ({"sku": "p0"}, 4),
        ({"product": "p0"}, 4),
        ({"product": "group"}, 8),
        ({"scene": "desk"}, 6),
        ({"campaign": "spring"}, 12),
        ({"sku": "p1", "scene": "desk"}, 2),
        ({"sku": "nothing"}, 0),
    ],
)
def test_conditions_choose_and_counts_add_up(
    world: World, chosen: dict[str, Any], marked: int
) -> None:
    group = [replace(record(name), item_group_id="group") for name in ("p1", "p2")]
    world.sync([record("p0"), *group])
    run_id = approved(world)
    assert len(usable(world, run_id)) == 6
    done = issue(world, **chosen)
    assert (done.matched, done.marked, done.unmarked) == (marked, marked, 0)
    assert issue(world, **chosen) == RecallCounts(marked, 0, marked)
    everything = issue(world, campaign="spring")
    assert (everything.matched, everything.unmarked) == (12, marked)
    assert usable(world, run_id) == set()


def test_a_recall_is_undone_only_by_saying_so_and_all_of_it_is_recorded(world: World) -> None:
    run_id = approved(world)
    issue(world, scene="desk")
    assert usable(world, run_id) == {f"p{i} beach" for i in range(3)}
    world.judge(run_id)
    assert usable(world, run_id) == {f"p{i} beach" for i in range(3)}
    assert issue(world, undo=True, sku="p1") == RecallCounts(4, 2, 2)
    assert usable(world, run_id) == {*(f"p{i} beach" for i in range(3)), "p1 desk"}
    with world.database.transaction() as tx:
        record = recalls.list_all(tx, world.ws)
    assert [(r.undo, r.issuer, r.reason, r.chosen, r.creatives) for r in record] == [
        (True, "ann", "unsafe", RecallFilter(sku="p1"), 2),
        (False, "ann", "unsafe", RecallFilter(scene="desk"), 6),
    ]
    for table in ("recall", "recall_creative"):
        with pytest.raises(ConflictError, match="append-only"), world.database.transaction() as tx:
            tx.execute(text(f"DELETE FROM {table}"))


def test_what_is_open_of_the_recalled_is_cancelled_and_the_run_completes(world: World) -> None:
    run_id = world.run(SPEC)
    world.cut(run_id)
    done = issue(world, sku="p0")
    assert (done.items, done.renders) == (4, 4)
    with world.database.transaction() as tx:
        cut = batches.needed_by(tx, run_id)
    work = 0
    for batch in cut:
        lease = world.claimed(batch.id)
        with world.database.transaction() as tx:
            work += len(leases.work(tx, lease))
    assert work == 8
    assert outcomes(world, run_id) == {Outcome.OPEN: 8, Outcome.CANCELLED: 4}


def test_a_render_that_another_slot_needs_is_made(world: World) -> None:
    first, second = world.run(SPEC), world.run(replace(SPEC, slug="summer"))
    done = issue(world, campaign="spring")
    assert (done.items, done.renders) == (12, 0)
    assert world.render_all(second) == 12
    world.judge(second)
    world.judge(first)
    assert outcomes(world, first) == {Outcome.CANCELLED: 12}
    assert len(usable(world, second)) == 6


def test_the_recalled_are_not_planned_drawn_or_retried_until_it_is_undone(world: World) -> None:
    run_id = world.run(SPEC)
    world.render_all(run_id, fails=lambda n: n == 1)
    world.judge(run_id, rejects=lambda _: True)
    issue(world, campaign="spring")
    assert world.draw_again(run_id, 3) == 0
    with world.database.transaction() as tx:
        assert retrying.failed_items(tx, world.ws, FailureFilter()) == ()
        runs.set_state(tx, run_id, RunState.COMPLETE)
    assert outcomes(world, world.run(SPEC)) == {}
    issue(world, undo=True, campaign="spring")
    assert outcomes(world, world.run(SPEC)) == {Outcome.OPEN: 12}


def test_an_item_that_was_added_while_it_was_recalled_is_closed_and_not_approved(
    world: World,
) -> None:
    run_id = world.run(SPEC)
    world.render_all(run_id)
    issue(world, scene="desk")
    with world.database.transaction() as tx:  # as if planning had committed just after
        tx.execute(
            text("UPDATE run_item SET outcome = 'open' WHERE run_id = :run"), {"run": run_id}
        )
    world.judge(run_id)
    assert outcomes(world, run_id) == {Outcome.APPROVED: 6, Outcome.CANCELLED: 6}


def test_an_export_leaves_out_what_was_recalled(world: World, tmp_path: Path) -> None:
    run_id = approved(world)
    store = LocalStore(tmp_path / "objects")
    env = Environment(world.database, store, "w", world.ws, Rendering(tmp_path), "me")
    picture = encode(np.zeros((8, 8, 3), np.uint8), ImageFormat.WEBP, 90)
    with world.database.transaction() as tx:
        for view in creatives.of_run(tx, run_id):
            assert view.render
            assert view.rendition
            photo = photo_key("w", view.spec.photo_sha256)
            for key in {view.render.object_key, view.rendition.object_key, photo}:
                if not store.exists(key):
                    store.put(key, picture, content_type="image/webp")
    issue(world, sku="p0")
    done = export_run(env, run_id, tmp_path / "out")
    assert (done.images, done.withdrawn) == (8, 4)
    with (tmp_path / "out" / "manifest.csv").open() as file:
        assert {row["product"] for row in csv.DictReader(file)} == {"p1", "p2"}
    issue(world, sku="p0", undo=True)
    assert export_run(env, run_id, tmp_path / "again").images == 12


def test_a_recall_says_which_creatives_and_why(world: World, tmp_path: Path) -> None:
    env = Environment(
        world.database, LocalStore(tmp_path), "w", world.ws, Rendering(tmp_path), "me"
    )
    approved(world)
    with pytest.raises(InvalidInputError, match="which creatives"):
        tasks.count(env, RecallFilter())
    with pytest.raises(InvalidInputError, match="reason"):
        tasks.issue(env, RecallFilter(sku="p0"), issuer="ann", reason="  ")
    with pytest.raises(NotFoundError, match="no creative of sku 'p9', scene 'desk'"):
        tasks.count(env, RecallFilter(sku="p9", scene="desk"))
    with pytest.raises(NotFoundError, match="did you mean spring"):
        tasks.count(env, RecallFilter(campaign="sprin"))
    assert tasks.issue(env, RecallFilter(sku="p0"), issuer="ann", reason="burns").marked == 4
    assert [(r.what, r.reason) for r in tasks.list_recalls(env, 5)] == [("sku 'p0'", "burns")]


def test_a_product_no_longer_sold_is_not_planned_its_renders_cancelled_its_images_not_used(
    world: World,
) -> None:
    made = approved(world)
    pending = world.run(replace(SPEC, seed=7))
    world.sync([record("p0"), record("p1")], complete=True)  # p2 is gone
    assert outcomes(world, pending) == {Outcome.OPEN: 8, Outcome.CANCELLED: 4}
    with world.database.transaction() as tx:
        assert runs.summary(tx, world.ws, pending).renders == {
            RenderState.PENDING: 8,
            RenderState.CANCELLED: 4,
        }
        assert {p.external_id for p in selection.plannable(tx, world.ws, SPEC)} == {"p0", "p1"}
    assert usable(world, made) == {f"{p} {s}" for p in ("p0", "p1") for s in ("beach", "desk")}
    world.sync([record("p0"), record("p1"), record("p2")], complete=True)
    assert len(usable(world, made)) == 6  # its state was kept
    assert isinstance(world.planned(SPEC)[0], PlannedItem)
