"""The plan of a campaign over the products as they are: chunk by chunk, nothing written."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from adloom.campaign import CampaignSpec
from adloom.errors import Problem, SpecError
from adloom.planning import (
    PlannableProduct,
    PlannedItem,
    Planner,
    SkippedProduct,
    SlotRecipe,
)
from adloom.yaml_spec import dotted
from db.queries import (
    known_slots,
    refreshing,
    scenes,
    selection,
)
from db.queries.known_slots import AskedSlots, WantedSlots
from tasks import resident
from tasks.campaigns import unknown_names
from tasks.catalog import chunks
from tasks.environment import Environment

CHUNK_SLOTS = 10_000


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
        wanted = _in_chunks(planner, spec, selection.plannable(tx, ws, spec))
        for chunk, asked in _asked_ahead(env, wanted, campaign_id):
            yield _plan_chunk(env, planner, chunk, asked)


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


def _asked_ahead(
    env: Environment, wanted: Iterable[PlanChunk], campaign_id: int | None
) -> Iterator[tuple[PlanChunk, AskedSlots]]:
    """Each chunk with how its slots stand; Postgres is asked for one while the one before it is
    planned."""
    if campaign_id is None:
        yield from ((chunk, AskedSlots(chunk.wanted.products, 0, ())) for chunk in wanted)
        return

    def ask(chunk: PlanChunk) -> AskedSlots:
        with env.database.transaction() as tx:
            return known_slots.ask(tx, env.workspace_id, campaign_id, chunk.wanted)

    with ThreadPoolExecutor(1, thread_name_prefix="ask-plan") as pool:
        before: tuple[PlanChunk, Future[AskedSlots]] | None = None
        for chunk in wanted:
            asking = chunk, pool.submit(ask, chunk)
            if before is not None:
                yield before[0], before[1].result()
            before = asking
        if before is not None:
            yield before[0], before[1].result()


def _plan_chunk(
    env: Environment, planner: Planner, chunk: PlanChunk, asked: AskedSlots
) -> PlanChunk:
    """The chunk with its unknown slots planned."""
    items, refused = _items(planner, asked)
    with env.database.transaction() as tx:
        due = refreshing.due(tx, env.workspace_id, chunk.wanted.spec, items)
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
