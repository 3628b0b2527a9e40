"""What a campaign makes of the products as they are: as a dry run, or written as a run's plan."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal

from adloom.campaign import CampaignSpec, Refresh
from adloom.catalog import Price
from adloom.errors import InvalidInputError, Problem, SpecError
from adloom.planning import (
    PlannableProduct,
    PlannedItem,
    Planner,
    SkippedProduct,
    SlotRecipe,
)
from adloom.records import RunLease, RunRecord
from adloom.states import RenderState, RunState
from adloom.yaml_spec import dotted
from db.queries import (
    campaigns,
    known_slots,
    pace,
    refreshing,
    run_leases,
    runs,
    scenes,
    selection,
)
from db.queries.known_slots import AskedSlots, WantedSlots
from tasks import resident
from tasks.campaigns import unknown_names
from tasks.catalog import chunks
from tasks.environment import Environment

CHUNK_SLOTS = 10_000
WARNINGS_SHOWN = 10
SECONDS_PER_RENDER = 1.0
"""Rough cost of a render by `mini` on two CPU cores, for as long as none was measured."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would do. `slots == reused + to_render` unless slots share renders.

    `device_seconds` is what rendering takes on one device at the pace that `basis` says, `cost`
    that at a price given by the hour. Finishing and scores overlap it and are not counted.
    """

    campaign: str
    products: int
    slots: int
    reused: int
    to_render: int
    skipped: dict[str, int]
    warnings: tuple[str, ...]
    device_seconds: float
    basis: str
    cost: Price | None
    max_renders: int | None
    over_budget: bool


@dataclass(frozen=True, slots=True)
class PlanChunk:
    """A part of a plan: products with their slots, what of it was planned anew, what is left out.

    `due` are the planned slots that the campaign's `refresh` takes, `not_due` the others; slots
    whose inputs are those of an earlier plan are in `wanted` alone, `known` of them.
    """

    wanted: WantedSlots
    known: int = 0
    due: tuple[PlannedItem, ...] = ()
    not_due: tuple[PlannedItem, ...] = ()
    skipped: tuple[SkippedProduct, ...] = ()


def planned(
    env: Environment, spec: CampaignSpec, *, pinned: str | None, campaign_id: int | None
) -> Iterator[PlanChunk]:
    """The plan of a spec over the products as they are, as it is asked for.

    `campaign_id` None: a campaign that is not stored, of which no slot is known. Raises SpecError
    for scenes or catalogue sources that do not exist, and ModelError if the weights at hand are not
    those of the hash `pinned` (None: any).
    """
    ws, where = env.workspace_id, f"campaign '{spec.slug}'"
    with env.database.transaction() as tx:
        unknown = tuple(Problem(None, dotted(p), said) for p, said in unknown_names(tx, env, spec))
    if unknown:
        raise SpecError(where=where, problems=unknown, hint="mend its file and apply it again")
    identity = resident.identity(spec.model, env.rendering)
    resident.require_pinned(pinned, identity.weights_hash, where=where)
    with env.database.transaction() as tx:
        planner = Planner(spec, scenes.latest(tx, ws, spec.scenes), identity)
        for skipped in chunks(selection.unplannable(tx, ws, spec), CHUNK_SLOTS):
            yield PlanChunk(WantedSlots(spec, ()), skipped=tuple(skipped))
        for chunk in _in_chunks(planner, spec, selection.plannable(tx, ws, spec)):
            yield _plan_chunk(env, planner, chunk, campaign_id)


def _in_chunks(
    planner: Planner, spec: CampaignSpec, products: Iterable[PlannableProduct]
) -> Iterator[PlanChunk]:
    """Products with what is wanted of them, in chunks of about `CHUNK_SLOTS` slots."""
    wanted: list[tuple[PlannableProduct, tuple[SlotRecipe, ...]]] = []
    skipped: list[SkippedProduct] = []
    slots = 0
    for product in products:
        recipes = planner.recipes_for(product)
        if isinstance(recipes, SkippedProduct):
            skipped.append(recipes)
        else:
            wanted.append((product, recipes))
            slots += len(recipes)
        if slots >= CHUNK_SLOTS or len(skipped) >= CHUNK_SLOTS:
            yield PlanChunk(WantedSlots(spec, wanted), skipped=tuple(skipped))
            wanted, skipped, slots = [], [], 0
    yield PlanChunk(WantedSlots(spec, wanted), skipped=tuple(skipped))


def _plan_chunk(
    env: Environment, planner: Planner, chunk: PlanChunk, campaign_id: int | None
) -> PlanChunk:
    """The chunk with its unknown slots planned."""
    wanted, ws = chunk.wanted, env.workspace_id
    with env.database.transaction() as tx:
        asked = AskedSlots(wanted.products, 0, ())
        if campaign_id is not None:
            asked = known_slots.ask(tx, ws, campaign_id, wanted)
        items, refused = _items(planner, asked)
        due = refreshing.due(tx, ws, wanted.spec, items)
    taken = {id(item) for item in due}
    return replace(
        chunk,
        known=asked.known,
        due=due,
        not_due=tuple(item for item in items if id(item) not in taken),
        skipped=(*chunk.skipped, *refused, *(_recalled(p, n) for p, n in asked.recalled)),
    )


def _items(planner: Planner, asked: AskedSlots) -> tuple[list[PlannedItem], list[SkippedProduct]]:
    """The unknown slots planned, and the products of which some cannot be."""
    items: list[PlannedItem] = []
    refused: list[SkippedProduct] = []
    for product, recipes in asked.unknown:
        planned = planner.items_or_refusal(product, recipes)
        if isinstance(planned, SkippedProduct):
            refused.append(planned)
        else:
            items += planned
    return items, refused


def _recalled(product: PlannableProduct, slots: int) -> SkippedProduct:
    detail = f"{slots} of its creatives are recalled; see `adloom recalls`"
    return SkippedProduct(product.product_id, product.external_id, "RECALLED", detail)


def estimate(env: Environment, slug: str, *, price_per_hour: Price | None = None) -> Estimate:
    """Dry run of a campaign: inserts nothing. Raises ModelError as a run would."""
    with env.database.transaction() as tx:
        campaign = campaigns.get(tx, env.workspace_id, slug)
    return estimate_of(
        env,
        campaign.spec,
        pinned=campaign.model_revision,
        campaign_id=campaign.id,
        price_per_hour=price_per_hour,
    )


def estimate_of(
    env: Environment,
    spec: CampaignSpec,
    *,
    pinned: str | None = None,
    campaign_id: int | None = None,
    price_per_hour: Price | None = None,
) -> Estimate:
    """Dry run of a specification with the weights it is `pinned` to, if any.

    `campaign_id`: the campaign under which it is stored, None if it is not. `price_per_hour` is of
    one device.
    """
    skipped: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    unknown: defaultdict[str, Counter[str]] = defaultdict(Counter)
    products: set[int] = set()
    slots, there, missing = 0, 0, set[bytes]()
    for chunk in planned(env, spec, pinned=pinned, campaign_id=campaign_id):
        skipped.update(s.reason for s in chunk.skipped)
        warnings.update(i.warning for i in chunk.due if i.warning)
        fingerprints = [i.spec.fingerprint for i in chunk.due]
        with env.database.transaction() as tx:
            states = runs.existing(tx, env.workspace_id, fingerprints)
            if campaign_id is not None and chunk.known:
                known = known_slots.count(
                    tx, env.workspace_id, campaign_id, chunk.wanted, known=chunk.known
                )
                slots, there = slots + known.slots, there + known.rendered
                missing.update(bytes.fromhex(f) for f in known.missing)
                warnings.update(known.warnings)
                products.update(known.products)
        for item, fingerprint in zip(chunk.due, fingerprints, strict=True):
            unknown[item.slot.scene_slug].update(item.unknown_words)
            slots += 1
            products.add(item.slot.product_id)
            if states.get(fingerprint) is RenderState.RENDERED:
                there += 1
            else:
                missing.add(bytes.fromhex(fingerprint))
    limit = spec.budget.max_renders
    seconds, basis = _pace(env, spec)
    taken = len(missing) * seconds
    return Estimate(
        spec.slug, len(products), slots, there, len(missing), dict(skipped),
        (
            *(f"{text} ({n} creatives)" for text, n in warnings.most_common(WARNINGS_SHOWN)),
            *(_of_unknown(scene, words) for scene, words in sorted(unknown.items()) if words),
        ),
        taken, basis, _cost(taken, price_per_hour),
        limit, limit is not None and len(missing) > limit,
    )  # fmt: skip


def _of_unknown(scene: str, words: Counter[str]) -> str:
    """One warning per scene: a model of a closed vocabulary (`mini`) cannot draw what it names."""
    most = ", ".join(f"'{word}'" for word, _ in words.most_common(WARNINGS_SHOWN))
    more = len(words) - WARNINGS_SHOWN
    and_more = f" and {more} more" if more > 0 else ""
    return f"scene '{scene}': the model does not know {most}{and_more}; left out of its prompts"


def _pace(env: Environment, spec: CampaignSpec) -> tuple[float, str]:
    """Seconds that a render takes, and what says so."""
    weights_hash = resident.identity(spec.model, env.rendering).weights_hash
    with env.database.transaction() as tx:
        measured = pace.of_weights(tx, env.workspace_id, weights_hash)
    if measured is None:
        return SECONDS_PER_RENDER, "a guess for `mini` on two CPU cores: nothing was measured yet"
    said = f"{measured.seconds:.2f} s a render, the mean of {measured.renders} on {measured.device}"
    return measured.seconds, said


def _cost(seconds: float, per_hour: Price | None) -> Price | None:
    if per_hour is None:
        return None
    amount = per_hour.amount * Decimal(seconds) / 3600
    return Price(amount.quantize(Decimal("0.01")), per_hour.currency)


def plan_run(env: Environment, lease: RunLease, run: RunRecord) -> int:
    """Plans a run into items and returns how many slots it has.

    Each chunk is committed by itself; what is there already is left as it is, so that planning can
    be gone on with. Raises LeaseLostError; ModelError if the weights are not those that the run
    began with; InvalidInputError if there is nothing to make, or if the plan is beyond the
    campaign's budget: then nothing is planned.
    """
    _require_budget(env, run)
    skipped: Counter[str] = Counter()
    plan = planned(env, run.spec, pinned=run.weights_hash, campaign_id=run.campaign_id)
    # Postgres stores a chunk while the next one is planned and its rows are made.
    with ThreadPoolExecutor(1, thread_name_prefix="store-plan") as writer:
        storing: Future[None] | None = None
        for chunk in plan:
            skipped.update(s.reason for s in chunk.skipped)
            rows = runs.SlotRows.of(run.spec, chunk.due, chunk.not_due)
            if storing is not None:
                storing.result()
            storing = writer.submit(store, env, lease, chunk, rows)
        if storing is not None:
            storing.result()
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


def store(env: Environment, lease: RunLease, chunk: PlanChunk, rows: runs.SlotRows) -> None:
    """Writes a chunk of a run's plan, `rows` of its planned slots. Raises LeaseLostError."""
    with env.database.transaction() as tx:
        run_leases.hold(tx, lease)
        runs.record_skipped(tx, lease.run_id, chunk.skipped)
        if chunk.known:
            known_slots.add(tx, lease.run_id, chunk.wanted, known=chunk.known)
        if rows.rows:
            runs.add_items(tx, lease.run_id, rows)


def _require_budget(env: Environment, run: RunRecord) -> None:
    limit = run.spec.budget.max_renders
    if limit is None:
        return
    needed = estimate_of(
        env, run.spec, pinned=run.weights_hash, campaign_id=run.campaign_id
    ).to_render
    if needed > limit:
        raise InvalidInputError(
            f"the plan needs {needed} new renders, its budget is {limit}",
            where=f"campaign '{run.campaign}'",
            hint="raise budget.max_renders, or select fewer products, scenes or formats",
        )
