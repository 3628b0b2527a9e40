"""Creatives: listed and shown."""

from dataclasses import asdict, dataclass
from typing import Any

from adloom.cutouts import Cutout
from adloom.errors import InvalidInputError
from adloom.records import (
    AttemptRecord,
    CreativeFilter,
    CreativeItem,
    CreativeView,
    ReviewRecord,
    RunRecord,
    StoredVerdict,
)
from adloom.states import Outcome
from db.queries import (
    attempts,
    campaigns,
    creative_history,
    creatives,
    cutouts,
    reviews,
    runs,
)
from tasks.environment import Environment
from tasks.runs import require_run


@dataclass(frozen=True, slots=True)
class CreativeLine:
    creative: int
    run: int
    external_id: str
    scene: str
    format: str
    variant: int
    draw: int
    disposition: str
    outcome: str
    reasons: tuple[str, ...]
    scores: dict[str, float]
    image: str


def list_creatives(
    env: Environment,
    *,
    campaign: str | None = None,
    run: int | None = None,
    outcome: str | None = None,
    product: str | None = None,
    limit: int = 50,
) -> tuple[CreativeLine, ...]:
    """Creatives by filters. Raises NotFoundError for an unknown campaign or run, and
    InvalidInputError for an outcome that does not exist."""
    if outcome is not None and outcome not in set(Outcome):
        raise InvalidInputError(
            f"there is no outcome '{outcome}'", hint=", ".join(o.value for o in Outcome)
        )
    if run is not None:
        require_run(env, run)
    wanted = CreativeFilter(
        campaign=campaign,
        run_id=run,
        outcome=Outcome(outcome) if outcome else None,
        product=product,
        limit=limit,
    )
    with env.database.transaction() as tx:
        if campaign is not None:
            campaigns.get(tx, env.workspace_id, campaign)
        found = creatives.list_creatives(tx, env.workspace_id, wanted)
    return tuple(_line(env, view) for view in found)


def _line(env: Environment, view: CreativeView) -> CreativeLine:
    slot = view.slot
    return CreativeLine(
        creative=view.creative_id,
        run=view.run_id,
        external_id=view.product.external_id,
        scene=slot.scene_slug,
        format=slot.format_slug,
        variant=slot.variant,
        draw=view.draw,
        disposition=view.disposition.value,
        outcome=view.outcome.value,
        reasons=tuple(r.code for r in view.reasons),
        scores=dict(view.scores),
        image=env.store.location(view.rendition.object_key) if view.rendition else "",
    )


def show_creative(env: Environment, creative_id: int) -> dict[str, Any]:
    """Everything that made a creative. Raises NotFoundError."""
    with env.database.transaction() as tx:
        view = creatives.get(tx, env.workspace_id, creative_id)
    price = view.product.price
    return {
        "creative": view.creative_id,
        "campaign": view.campaign,
        "run": view.run_id,
        "product": view.product.external_id,
        "title": view.product.title,
        "price": f"{price.amount} {price.currency}" if price else None,
        "photo role": view.slot.photo_role.value,
        "scene": f"{view.slot.scene_slug} version {view.scene_version}",
        "format": view.slot.format_slug,
        "variant": view.slot.variant,
        "draw": view.draw,
        "outcome": view.outcome.value,
        "reasons": [asdict(r) for r in view.reasons],
        "scores": {k: round(v, 4) for k, v in sorted(view.scores.items())},
        "disposition": view.disposition.value,
        "render state": view.render_state.value,
        "attempts": view.attempts,
        "error": f"{view.error_class}: {view.error_message}" if view.error_class else None,
        "warning": view.warning,
        "fingerprint": view.fingerprint,
        "spec": view.spec.to_json(),
        "render": env.store.location(view.render.object_key) if view.render else None,
        "timings": dict(view.render.timings) if view.render else {},
        "device": view.render.device if view.render else None,
        "image": env.store.location(view.rendition.object_key) if view.rendition else None,
        "image sha256": view.rendition.sha256 if view.rendition else None,
        "finishing": dict(view.rendition.details) if view.rendition else {},
    }


@dataclass(frozen=True, slots=True)
class CreativeHistory:
    """What made a creative, and what was said of it. `cutout` is the photo's current one, which
    may be another than the render was made from."""

    run: RunRecord
    items: tuple[CreativeItem, ...]
    verdicts: tuple[StoredVerdict, ...]
    reviews: tuple[ReviewRecord, ...]
    attempts: tuple[AttemptRecord, ...]
    cutout: Cutout | None
    finishing: dict[str, Any]


def history(env: Environment, view: CreativeView) -> CreativeHistory:
    """All that is known of how `view` came to be. Raises NotFoundError."""
    ws = env.workspace_id
    with env.database.transaction() as tx:
        items = creative_history.items(tx, ws, view.creative_id)
        return CreativeHistory(
            run=runs.get(tx, ws, view.run_id),
            items=items,
            verdicts=creative_history.verdicts(tx, [i.run_item_id for i in items]),
            reviews=reviews.of_creative(tx, view.creative_id),
            attempts=attempts.of_render(tx, view.render_id),
            cutout=cutouts.current(tx, ws, view.spec.photo_sha256),
            finishing=creative_history.finishing(tx, ws, view.finish_hash),
        )
