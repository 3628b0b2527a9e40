"""A slot whose inputs have not changed is taken into the next run without being planned."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from adloom.campaign import CampaignSpec, Refresh
from adloom.catalog import Price
from adloom.cutouts import MaskOrigin
from adloom.planning import RendererIdentity
from adloom.records import PlanCounts, RecallFilter, RunSummary
from adloom.scenes import ScenePack
from adloom.states import Disposition, RenderState, RunState, Trigger
from db.queries import campaigns, cancelling, cutouts, recalls, run_leases, runs, scenes
from storage.local import LocalStore
from tasks import estimates, planning, resident
from tasks import planned as planned_module
from tasks.environment import Environment, Rendering
from tasks.planned import planned
from tests.db.world import RENDERER, World, campaign, cutout, record, scene, sha

SPEC = campaign(variants=2)  # two scenes, two formats: 8 slots for each of three products


@dataclass
class Planning:
    """Runs planned by the tasks themselves, for a renderer that can be exchanged."""

    world: World
    env: Environment
    renderer: RendererIdentity = RENDERER

    def run(self, spec: CampaignSpec = SPEC) -> tuple[RunSummary, int, int]:
        """A run's summary, how many of its slots were known, and how many were planned."""
        with self.world.database.transaction() as tx:
            campaigns.apply(tx, self.world.ws, spec)
            run_id = runs.create(
                tx, self.world.ws, spec.slug, trigger=Trigger.MANUAL,
                weights_hash=self.renderer.weights_hash,
            )  # fmt: skip
            lease = run_leases.claim(tx, run_id, "me", 60)
            run = runs.get(tx, self.world.ws, run_id)
        assert lease is not None
        chunks = list(planned(self.env, spec, pinned=None, campaign_id=run.campaign_id))
        planning.plan_run(self.env, lease, run)
        with self.world.database.transaction() as tx:
            assert runs.conservation(tx, run_id).holds
            found = runs.summary(tx, self.world.ws, run_id)
        return found, sum(c.known for c in chunks), sum(len(c.due + c.not_due) for c in chunks)

    def made(self, spec: CampaignSpec = SPEC) -> RunSummary:
        """A run that was planned, rendered and judged."""
        summary, _, _ = self.run(spec)
        self.world.render_all(summary.run.id)
        self.world.judge(summary.run.id)
        with self.world.database.transaction() as tx:
            runs.set_state(tx, summary.run.id, RunState.COMPLETE)
            return runs.summary(tx, self.world.ws, summary.run.id)


@pytest.fixture
def plans(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planning:
    rendering = Rendering(weights_root=tmp_path)
    env = Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")
    made = Planning(world, env)

    def identity(_model: str, _rendering: Rendering) -> RendererIdentity:
        return made.renderer

    monkeypatch.setattr(resident, "identity", identity)
    monkeypatch.setattr(planned_module, "CHUNK_SLOTS", 16)
    return made


def counts(summary: RunSummary) -> PlanCounts:
    by = summary.dispositions
    return PlanCounts(
        summary.run.planned_slots, by.get(Disposition.NEW, 0), by.get(Disposition.REUSED, 0)
    )


def test_the_same_again_plans_nothing_and_reuses_all(plans: Planning) -> None:
    assert plans.run()[1:] == (0, 24)
    plans.made()
    again, known, planned = plans.run()
    assert (known, planned) == (24, 0)
    assert counts(again) == PlanCounts(24, 0, 24)


def test_known_slots_whose_renders_are_not_there_yet_are_shared_as_new(plans: Planning) -> None:
    plans.run()
    again, known, _ = plans.run()
    assert known == 24
    assert counts(again) == PlanCounts(24, 24, 0)
    assert again.renders == {RenderState.PENDING: 24}


def test_a_cancelled_render_of_a_known_slot_is_pending_again(plans: Planning) -> None:
    first, _, _ = plans.run()
    with plans.world.database.transaction() as tx:
        assert cancelling.cancel(tx, first.run.id).renders == 24
    again, known, _ = plans.run()
    assert (known, again.renders) == (24, {RenderState.PENDING: 24})


Change = Callable[[Planning], CampaignSpec | None]


def new_title(p: Planning) -> None:
    p.world.sync([record("p0", title="Something else")])


def new_mask(p: Planning) -> None:
    made = cutout(sha("/photos/p0.png"), "better", origin=MaskOrigin.MANUAL, version="manual")
    with p.world.database.transaction() as tx:
        cutouts.upsert(tx, p.world.ws, [made])


def new_scene(p: Planning) -> None:
    words = replace(scene("desk", 2), prompt="a photo of {title} on a desk")
    with p.world.database.transaction() as tx:
        scenes.upsert_pack(tx, p.world.ws, ScenePack("base", 2, (words,)))


def renamed_scene(p: Planning) -> None:
    with p.world.database.transaction() as tx:
        scenes.upsert_pack(tx, p.world.ws, ScenePack("base", 2, (scene("desk", 2, title="Desk"),)))


def new_weights(p: Planning) -> None:
    p.renderer = replace(p.renderer, weights_hash="v" * 64)


def new_gates(_: Planning) -> CampaignSpec:
    return replace(SPEC, gates=())


def new_steps(_: Planning) -> CampaignSpec:
    return replace(SPEC, steps=7)


@pytest.mark.parametrize(
    ("change", "replanned"),
    [
        (new_title, 8), (new_mask, 8), (new_scene, 12), (renamed_scene, 0), (new_weights, 24),
        (new_gates, 0), (new_steps, 24),
    ],
)  # fmt: skip
def test_what_changed_is_planned_again_and_nothing_else(
    plans: Planning, change: Change, replanned: int
) -> None:
    plans.made()
    spec = change(plans) or SPEC
    found, known, planned = plans.run(spec)
    assert (known, planned) == (24 - replanned, replanned)
    assert counts(found) == PlanCounts(24, replanned, 24 - replanned)
    assert plans.run(spec)[1:] == (24, 0)


@pytest.mark.parametrize("refresh", [Refresh.NEW, Refresh.CHANGED])
def test_known_slots_are_due_by_the_same_rules_as_planned_ones(
    plans: Planning, refresh: Refresh
) -> None:
    plans.made()
    spec = replace(SPEC, refresh=refresh)
    assert counts(plans.run(spec)[0]).slots == 0
    new_mask(plans)
    due = 8 if refresh is Refresh.CHANGED else 0
    found, known, planned = plans.run(spec)
    assert (counts(found).slots, known, planned) == (due, 16, 8)
    # Nothing was rendered: the same are due. What is not due and has no render is known by no row.
    again, known, planned = plans.run(spec)
    assert (counts(again).slots, known, planned) == (due, 16 + due, 8 - due)
    if refresh is Refresh.CHANGED:
        other = replace(spec, finishing=replace(spec.finishing, quality=50))
        assert counts(plans.run(other)[0]).slots == 24


def written(plans: Planning) -> list[object]:
    """All rows that planning can write, with their versions."""
    with plans.world.database.transaction() as tx:
        return [
            tx.execute(text(f"SELECT id, xmin FROM {table} ORDER BY id")).all()
            for table in ("creative", "render", "run", "run_item")
        ]


def test_a_dry_run_says_what_the_run_then_does_and_writes_nothing(plans: Planning) -> None:
    plans.made()
    new_title(plans)
    with plans.world.database.transaction() as tx:
        stored = campaigns.get(tx, plans.world.ws, SPEC.slug)
    before = written(plans)
    dry = estimates.estimate_of(plans.env, SPEC, campaign_id=stored.id)
    assert written(plans) == before
    unknown = estimates.estimate_of(plans.env, SPEC)
    assert unknown == dry
    assert (dry.products, dry.slots, dry.reused, dry.to_render) == (3, 24, 16, 8)
    assert counts(plans.run()[0]) == PlanCounts(24, 8, 16)


def test_an_estimate_goes_by_the_measured_pace(plans: Planning) -> None:
    hour = Price(Decimal(36), "USD")
    guess = estimates.estimate_of(plans.env, SPEC, price_per_hour=hour)
    assert guess.device_seconds == pytest.approx(24 * estimates.SECONDS_PER_RENDER)
    assert guess.cost == Price(Decimal("0.24"), "USD")
    plans.made()  # in 0.1 s a render
    new_mask(plans)
    measured = estimates.estimate_of(plans.env, SPEC)
    assert (measured.to_render, measured.cost) == (8, None)
    assert measured.device_seconds == pytest.approx(0.8)
    assert "the mean of 24 on cpu" in measured.basis


def test_recalled_slots_are_neither_known_nor_planned(plans: Planning) -> None:
    plans.made()
    with plans.world.database.transaction() as tx:
        chosen = RecallFilter(sku="p0", scene="desk")
        assert recalls.issue(tx, plans.world.ws, chosen, issuer="ann", reason="x").marked == 4
    found, known, planned = plans.run()
    assert (known, planned, counts(found).slots) == (20, 0, 20)
    assert found.skipped == {"RECALLED": 1}
    new_weights(plans)
    assert plans.run()[1:] == (0, 20)


def test_a_product_whose_words_fit_no_prompt_costs_no_other(plans: Planning) -> None:
    """It is skipped with a reason, and the run is made of the others."""
    plans.renderer = replace(
        RENDERER, max_tokens=12, count_tokens=lambda words: max(map(len, words.split()), default=0)
    )
    plans.world.sync([record("p0", title="x" * 40)])
    plans.run()
    one_word = replace(scene("desk", 2), prompt="{title}")
    with plans.world.database.transaction() as tx:
        scenes.upsert_pack(tx, plans.world.ws, ScenePack("base", 2, (one_word,)))
    found, known, planned = plans.run()
    assert found.skipped == {"PROMPT_TOO_LONG": 1}
    assert (counts(found).slots, known, planned) == (20, 12, 8)
