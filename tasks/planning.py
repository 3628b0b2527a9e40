"""What a campaign makes of the products as they are: as a dry run, or written as a run's plan."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adloom.campaign import CampaignSpec, Refresh
from adloom.errors import InvalidInputError, Problem, SpecError
from adloom.planning import PlannedItem, SkippedProduct, plan
from adloom.records import RunLease, RunRecord
from adloom.states import RenderState, RunState
from adloom.yaml_spec import dotted
from db.queries import campaigns, refreshing, run_leases, runs, scenes, selection
from tasks import resident
from tasks.campaigns import unknown_names
from tasks.catalog import chunks
from tasks.environment import Environment

CHUNK = 1000
WARNINGS_SHOWN = 10
SECONDS_PER_STEP, SECONDS_PER_RENDER = 0.02, 0.6
"""Rough costs of `mini` on two CPU cores: a guided step; masks, scores and finishing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would do. `slots == reused + to_render` unless slots share renders."""

    campaign: str
    products: int
    slots: int
    reused: int
    to_render: int
    skipped: dict[str, int]
    warnings: tuple[str, ...]
    minutes: float
    basis: str
    max_renders: int | None
    over_budget: bool


@dataclass(frozen=True, slots=True)
class PlanChunk:
    """A part of a plan: slots that are due by the campaign's `refresh`, and products left out."""

    items: tuple[PlannedItem, ...]
    skipped: tuple[SkippedProduct, ...]


def planned(env: Environment, spec: CampaignSpec, *, pinned: str | None) -> Iterator[PlanChunk]:
    """The plan of a spec over the products as they are, as it is asked for.

    Raises SpecError for scenes or catalogue sources that do not exist, and ModelError if the
    weights at hand are not those of the hash `pinned` (None: any).
    """
    ws, where = env.workspace_id, f"campaign '{spec.slug}'"
    with env.database.transaction() as tx:
        unknown = tuple(Problem(None, dotted(p), said) for p, said in unknown_names(tx, env, spec))
    if unknown:
        raise SpecError(where=where, problems=unknown, hint="mend its file and apply it again")
    identity = resident.identity(spec.model, env.rendering)
    resident.require_pinned(pinned, identity.weights_hash, where=where)
    with env.database.transaction() as tx:
        chosen = scenes.latest(tx, ws, spec.scenes)
        for skipped in chunks(selection.unplannable(tx, ws, spec), CHUNK):
            yield PlanChunk((), tuple(skipped))
        for chunk in chunks(plan(spec, selection.plannable(tx, ws, spec), chosen, identity), CHUNK):
            items = [i for i in chunk if isinstance(i, PlannedItem)]
            with env.database.transaction() as looking:
                due = refreshing.due(looking, ws, spec, items)
            yield PlanChunk(due, tuple(s for s in chunk if isinstance(s, SkippedProduct)))


def estimate(env: Environment, slug: str) -> Estimate:
    """Dry run of a campaign: inserts nothing. Raises ModelError as a run would."""
    with env.database.transaction() as tx:
        campaign = campaigns.get(tx, env.workspace_id, slug)
    return estimate_of(env, campaign.spec, pinned=campaign.model_revision)


def estimate_of(env: Environment, spec: CampaignSpec, *, pinned: str | None = None) -> Estimate:
    """Dry run of a specification, stored or not, with the weights it is `pinned` to, if any."""
    skipped: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    unknown: defaultdict[str, Counter[str]] = defaultdict(Counter)
    products: set[int] = set()
    slots, there, missing, steps = 0, 0, set[str](), 0
    for chunk in planned(env, spec, pinned=pinned):
        skipped.update(s.reason for s in chunk.skipped)
        warnings.update(i.warning for i in chunk.items if i.warning)
        fingerprints = [i.spec.fingerprint for i in chunk.items]
        with env.database.transaction() as tx:
            states = runs.existing(tx, env.workspace_id, fingerprints)
        for item in chunk.items:
            unknown[item.slot.scene_slug].update(item.unknown_words)
            slots += 1
            products.add(item.slot.product_id)
            if states.get(item.spec.fingerprint) is RenderState.RENDERED:
                there += 1
            elif item.spec.fingerprint not in missing:
                missing.add(item.spec.fingerprint)
                steps += item.spec.sampler.steps
    limit = spec.budget.max_renders
    return Estimate(
        spec.slug, len(products), slots, there, len(missing), dict(skipped),
        (
            *(f"{text} ({n} creatives)" for text, n in warnings.most_common(WARNINGS_SHOWN)),
            *(_of_unknown(scene, words) for scene, words in sorted(unknown.items()) if words),
        ),
        (steps * SECONDS_PER_STEP + len(missing) * SECONDS_PER_RENDER) / 60,
        "on two CPU cores with `mini`",
        limit, limit is not None and len(missing) > limit,
    )  # fmt: skip


def _of_unknown(scene: str, words: Counter[str]) -> str:
    """One warning per scene: a model of a closed vocabulary (`mini`) cannot draw what it names."""
    most = ", ".join(f"'{word}'" for word, _ in words.most_common(WARNINGS_SHOWN))
    more = len(words) - WARNINGS_SHOWN
    and_more = f" and {more} more" if more > 0 else ""
    return f"scene '{scene}': the model does not know {most}{and_more}; left out of its prompts"


def plan_run(env: Environment, lease: RunLease, run: RunRecord) -> int:
    """Plans a run into items and returns how many slots it has.

    Each chunk is committed by itself; what is there already is left as it is, so that planning can
    be gone on with. Raises LeaseLostError; ModelError if the weights are not those that the run
    began with; InvalidInputError if there is nothing to make, or if the plan is beyond the
    campaign's budget: then nothing is planned.
    """
    _require_budget(env, run)
    skipped: Counter[str] = Counter()
    for chunk in planned(env, run.spec, pinned=run.weights_hash):
        skipped.update(s.reason for s in chunk.skipped)
        add_to_run(env, lease, chunk.items, chunk.skipped)
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        slots = runs.get(tx, env.workspace_id, run.id).planned_slots
        if not slots and run.spec.refresh is Refresh.ALL:
            why = ", ".join(f"{n} × {r}" for r, n in skipped.items()) or "no product is selected"
            raise InvalidInputError(
                f"nothing to make: {why}",
                where=f"campaign '{run.campaign}'",
                hint="see `adloom campaign plan` and `adloom catalog show`",
            )
        runs.set_state(tx, run.id, RunState.RENDERING)
    return slots


def add_to_run(
    env: Environment,
    lease: RunLease,
    items: Sequence[PlannedItem],
    skipped: Sequence[SkippedProduct] = (),
) -> None:
    """Writes a chunk of a run's plan. Raises LeaseLostError."""
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        runs.record_skipped(tx, lease.run_id, skipped)
        runs.add_items(tx, lease.run_id, items)


def _require_budget(env: Environment, run: RunRecord) -> None:
    limit = run.spec.budget.max_renders
    if limit is None:
        return
    needed = estimate_of(env, run.spec, pinned=run.weights_hash).to_render
    if needed > limit:
        raise InvalidInputError(
            f"the plan needs {needed} new renders, its budget is {limit}",
            where=f"campaign '{run.campaign}'",
            hint="raise budget.max_renders, or select fewer products, scenes or formats",
        )
