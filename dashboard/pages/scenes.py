"""Scene templates: by pack, with what they make and what it yields."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from adloom.states import Outcome
from dashboard.access import Viewer
from dashboard.database import Reading, Workspace
from dashboard.parameters import Search, SlugPath
from dashboard.pictures import picture_url
from dashboard.templating import page
from dashboard.yield_lines import YieldLine, without_versions, yield_lines
from db.engine import Transaction
from db.queries.dashboard import catalogue, numbers
from db.queries.dashboard import scenes as queries

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Example:
    creative_id: int
    url: str
    alt: str


@dataclass(frozen=True, slots=True)
class SceneCard:
    """A scene with approved creatives of its newest version, and its yield over all runs."""

    scene: queries.SceneLine
    yields: YieldLine | None
    examples: tuple[Example, ...]


@router.get("/scenes")
def list_scenes(
    request: Request,
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    pack: Search = None,
    category: Search = None,
) -> HTMLResponse:
    """The newest version of every template; of one pack, or that suits one category."""
    found = queries.latest(tx, ws)
    shown = [
        s for s in found
        if (not pack or s.pack == pack)
        and (not category or not s.body["categories"] or category in s.body["categories"])
    ]  # fmt: skip
    return page(
        request,
        "scenes.html",
        cards=_cards(request, tx, ws, shown),
        packs=sorted({s.pack for s in found}),
        categories=sorted({c for s in found for c in s.body["categories"]}),
        chosen={"pack": pack or "", "category": category or ""},
    )


@router.get("/scenes/{slug}")
def show_scene(
    request: Request, tx: Reading, ws: Workspace, _person: Viewer, slug: SlugPath
) -> HTMLResponse:
    """A template, and the yield of each of its versions."""
    scene = queries.one(tx, ws, slug)
    by_version = numbers.yields(tx, ws, "scene")
    own = {v: n for v, n in by_version.items() if v.rpartition("@")[0] == slug}
    (card,) = _cards(request, tx, ws, [scene])
    return page(request, "scene.html", scene=scene, card=card, versions=yield_lines(own))


def _cards(
    request: Request, tx: Transaction, ws: int, shown: list[queries.SceneLine]
) -> list[SceneCard]:
    lines = {y.value: y for y in yield_lines(without_versions(numbers.yields(tx, ws, "scene")))}
    examples = queries.examples(tx, ws)
    of = {s.slug: examples.get(f"{s.slug}@{s.version}", ()) for s in shown}
    wanted = sorted({creative for creatives in of.values() for creative in creatives})
    tiles = catalogue.tiles(tx, ws, wanted) if wanted else {}
    return [
        SceneCard(
            scene,
            lines.get(scene.slug),
            tuple(_example(request, tiles[c]) for c in of[scene.slug] if c in tiles),
        )
        for scene in shown
    ]


def _example(request: Request, tile: catalogue.CreativeTile) -> Example:
    alt = f"Creative {tile.creative_id} in {tile.format}"
    if tile.outcome is not Outcome.APPROVED:
        alt += ", no longer approved"
    return Example(tile.creative_id, picture_url(request, tile.object_key, "thumb"), alt)
