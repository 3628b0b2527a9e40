"""What a campaign would make of the products as they are: a dry run, with costs."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from adloom.campaign import CampaignSpec
from adloom.catalog import Price
from adloom.states import RenderState
from db.queries import (
    campaigns,
    known_slots,
    pace,
    runs,
)
from tasks import resident
from tasks.budgets import cost_of, limits, shortfall
from tasks.campaigns import checked_text, read_text, with_upscaler_weights
from tasks.environment import Environment
from tasks.planned import planned

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


def estimate_file(env: Environment, file: Path, *, price_per_hour: Price | None = None) -> Estimate:
    """Dry run of a campaign's file as if it had been applied; nothing is stored.

    Raises SpecError by line and field as applying it would, ModelError as a run would.
    """
    spec = checked_text(env, read_text(file), where=str(file))
    spec = with_upscaler_weights(spec, env.rendering)
    with env.database.transaction() as tx:
        stored = spec.slug in campaigns.slugs(tx, env.workspace_id)
        number = campaigns.get(tx, env.workspace_id, spec.slug).id if stored else None
    return estimate_of(env, spec, campaign_id=number, price_per_hour=price_per_hour)


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
    taken, per_hour = len(missing) * seconds, price_per_hour or env.gpu_hour_price
    bounds = limits(spec.budget, per_hour, where=f"campaign '{spec.slug}'")
    short = shortfall(bounds, len(missing), taken)
    return Estimate(
        spec.slug, len(products), slots, there, len(missing), dict(skipped),
        (
            *((short,) if short else ()),
            *(f"{text} ({n} creatives)" for text, n in warnings.most_common(WARNINGS_SHOWN)),
            *(_of_unknown(scene, words) for scene, words in sorted(unknown.items()) if words),
        ),
        taken, basis, _cost(taken, per_hour),
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
    return cost_of(seconds, per_hour)
