"""The contact sheet of a run as one HTML page: photo | raw | finished, by product."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment as Jinja
from jinja2 import PackageLoader, StrictUndefined


@dataclass(frozen=True, slots=True)
class Tile:
    """One creative. `photo`, `raw`, `finished` are addresses relative to the page; '' is none."""

    photo: str
    raw: str
    finished: str
    scene: str
    format: str
    variant: int
    outcome: str
    reasons: tuple[str, ...]
    scores: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    campaign: str
    title: str
    run: int
    model: str
    finished_at: str
    counts: tuple[tuple[str, int], ...]
    groups: Sequence[Group]


def sheet_html(sheet: Sheet) -> str:
    """The page; every value that comes from a catalogue is escaped."""
    jinja = Jinja(
        loader=PackageLoader("tasks"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return jinja.get_template("sheet.html.j2").render(sheet=sheet)
