"""One creative: everything that made it, and what can be done with it."""

import secrets
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse

from adloom.catalog import Price
from adloom.errors import ConflictError
from adloom.gates import Gate
from adloom.keys import rendition_key
from adloom.records import CreativeView, RecallFilter, ReviewChoice, ReviewWord
from adloom.states import Outcome, ReviewDecision
from dashboard.access import Operator, Reviewer, Viewer, audit
from dashboard.commands import Starter
from dashboard.database import Env, TheDashboard
from dashboard.parameters import IdPath, Text
from dashboard.review_items import shown, urls
from dashboard.templating import page
from tasks import creatives, recalls, redrawing, reviewing
from tasks.export import file_stem

router = APIRouter()
Scope = Literal["slot", "product"]
Key = Annotated[str, Form(pattern="^[A-Za-z0-9_-]{8,64}$")]
Sha256 = Annotated[str, Form(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class GateLine:
    """A gate of the run beside the value that it judged; `decision` is `missing` without one."""

    gate: Gate
    value: float | None
    decision: str


@router.get("/creatives/{creative}")
def creative(
    request: Request, person: Viewer, env: Env, dashboard: TheDashboard, creative: IdPath
) -> HTMLResponse:
    """Everything that made a creative."""
    del person
    item = reviewing.look_at(env, creative)
    view = item.view
    history = creatives.history(env, view)
    images = {i.image_sha256 for i in history.items if i.image_sha256}
    slot = view.slot
    name = file_stem(f"{view.product.external_id}-{slot.scene_slug}-{slot.format_slug}")
    return page(
        request,
        "creative.html",
        view=view,
        item=shown(request, item),
        history=history,
        gates=_gates(view, history.run.spec.gates),
        other_scores=_not_gated(view, history.run.spec.gates),
        pictures={image: urls(request, rendition_key(env.workspace, image)) for image in images},
        spec=view.spec.to_json(),
        download=f"{name}_{view.creative_id}",
        device_s=_device_s(view),
        cost=_cost(_device_s(view), dashboard.gpu_hour_price),
        key=secrets.token_hex(16),
        reasons=dashboard.review_reasons,
        is_recalled=(view.withdrawn or "").startswith("recalled"),
        can_redraw=view.outcome is Outcome.REJECTED and view.withdrawn is None,
    )


@router.post("/creatives/{creative}/review")
def review(
    request: Request,
    person: Reviewer,
    env: Env,
    dashboard: TheDashboard,
    creative: IdPath,
    decision: Annotated[Literal["approve", "reject"], Form()],
    image_sha256: Sha256,
    key: Key,
    reason: Annotated[Text, Form(max_length=40)] = "",
    last_review: Annotated[int | None, Form(ge=1, le=2**63 - 1)] = None,
) -> RedirectResponse:
    """A decision on the image that the page showed; also on one that the gates had decided."""
    word = ReviewWord(
        person.name, ReviewDecision(decision), key, reason if decision == "reject" else ""
    )
    choice = ReviewChoice(creative, image_sha256, last_review)
    made = reviewing.decide(env, choice, word, dashboard.review_reasons)
    audit(
        request, person, act=f"creative.{decision}", subject=f"creative {creative}",
        details={"image": image_sha256, "reason": made.reason, "review": made.id},
    )  # fmt: skip
    return _back(creative)


@router.get("/creatives/{creative}/recall")
def recall_asked(
    request: Request, person: Operator, env: Env, creative: IdPath, undo: bool = False
) -> HTMLResponse:
    """What a recall, or taking it back, would mark, before it does."""
    del person
    view = reviewing.look_at(env, creative).view
    counts = {
        scope: (recalls.described(chosen), recalls.count(env, chosen, undo=undo))
        for scope, chosen in _scopes(view).items()
    }
    return page(request, "creative_recall.html", view=view, counts=counts, undo=undo)


@router.post("/creatives/{creative}/recall")
def recall(
    request: Request,
    person: Operator,
    env: Env,
    creative: IdPath,
    scope: Annotated[Scope, Form()],
    reason: Annotated[Text, Form(min_length=1, max_length=500)],
    undo: Annotated[bool, Form()] = False,
) -> RedirectResponse:
    """Recalls the creatives of the scope, which are then not exported and not made any more; or,
    with `undo`, ends recalls of them."""
    chosen = _scopes(reviewing.look_at(env, creative).view)[scope]
    done = recalls.issue(env, chosen, issuer=person.name, reason=reason, undo=undo)
    act = "creative.recall-undo" if undo else "creative.recall"
    audit(
        request, person, act=act, subject=recalls.described(chosen),
        details={"reason": reason, "marked": done.marked, "cancelled": done.items},
    )  # fmt: skip
    return _back(creative)


@router.post("/creatives/{creative}/redraw")
def redraw(
    request: Request, person: Operator, env: Env, start: Starter, creative: IdPath
) -> RedirectResponse:
    """Draws a rejected creative once more, by the same command as in a terminal."""
    view = redrawing.require_rejected(env, creative)
    if view.rendition is None:
        raise ConflictError("there is no picture to be drawn again")
    start(["creatives", "redraw", str(creative), "--wait"])
    audit(
        request, person, act="creative.redraw", subject=f"creative {creative}",
        details={"run": view.run_id, "after_draw": view.draw},
    )  # fmt: skip
    return _back(creative)


def _scopes(view: CreativeView) -> dict[str, RecallFilter]:
    sku = view.product.external_id
    return {
        "slot": RecallFilter(sku=sku, scene=view.slot.scene_slug, campaign=view.campaign),
        "product": RecallFilter(sku=sku),
    }


def _gates(view: CreativeView, gates: tuple[Gate, ...]) -> list[GateLine]:
    lines: list[GateLine] = []
    for gate in gates:
        value = view.scores.get(gate.score)
        decision = "missing" if value is None else gate.judge(value).value
        lines.append(GateLine(gate, value, decision))
    return lines


def _not_gated(view: CreativeView, gates: tuple[Gate, ...]) -> dict[str, float]:
    gated = {gate.score for gate in gates}
    return {name: value for name, value in sorted(view.scores.items()) if name not in gated}


def _device_s(view: CreativeView) -> float | None:
    """What the render took of a device, as far as it was measured."""
    seconds = view.render.timings.get("render_s") if view.render else None
    return float(seconds) if isinstance(seconds, int | float) else None


def _cost(device_s: float | None, per_hour: Price | None) -> str | None:
    """What the device's time cost; None where the time or the price is not known."""
    if device_s is None or per_hour is None:
        return None
    return f"{float(per_hour.amount) * device_s / 3600:.5f} {per_hour.currency}"


def _back(creative: int) -> RedirectResponse:
    return RedirectResponse(f"/creatives/{creative}", status_code=303)
