"""A bill of materials for weights: what each part is, where it comes from, who may use it.

It lies beside the weights as `weights.json`. It decides no pixel, so it is no part of their hash.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adloom.errors import ModelError

BILL_FILE = "weights.json"
_LAYOUT = "adloom.weights/1"

COMMERCIAL = frozenset({
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Unlicense", "CC0-1.0",
    "CC-BY-4.0", "CC-BY-SA-4.0", "CreativeML-OpenRAIL-M", "CreativeML-OpenRAIL++-M",
})  # fmt: skip
"""Licences that allow commercial use; the OpenRAIL ones with conditions of their own. SPDX names
are the same in any case."""
_COMMERCIAL = frozenset(name.casefold() for name in COMMERCIAL)

KNOWN_LICENCES: dict[str, str] = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "CreativeML-OpenRAIL-M",
    "stabilityai/sd-vae-ft-mse": "MIT",
    "h94/IP-Adapter": "Apache-2.0",
}
"""What the paper's starting points state on the hub. The released RefAdGen weights state none."""


@dataclass(frozen=True, slots=True)
class Part:
    """Components of one origin and licence. `licence` None: unstated. `commercial_use` says what
    the licence's name does not, or overrides it; None: by `COMMERCIAL`."""

    components: tuple[str, ...]
    origin: str
    licence: str | None = None
    commercial_use: bool | None = None

    @property
    def is_commercial(self) -> bool:
        if self.commercial_use is not None:
            return self.commercial_use
        return self.licence is not None and self.licence.casefold() in _COMMERCIAL


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file, by its path below the weights' folder."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Bill:
    name: str
    parts: tuple[Part, ...]
    files: tuple[WeightsFile, ...]

    def to_json(self) -> str:
        """The document; `parse_bill` is its inverse."""
        return json.dumps({"layout": _LAYOUT, **asdict(self)}, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Differences:
    """How files at hand differ from a bill's, each by path."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unlisted: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.unlisted)


def parse_bill(text: str, where: str) -> Bill:
    """ModelError naming the file and what is wrong with it."""
    try:
        document = json.loads(text)
        if document["layout"] != _LAYOUT:
            raise ValueError(f"layout {document['layout']!r}, not {_LAYOUT!r}")
        return Bill(
            str(document["name"]),
            tuple(_part(p) for p in document["parts"]),
            tuple(
                WeightsFile(str(f["path"]), str(f["sha256"]), int(f["size_bytes"]))
                for f in document["files"]
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise unreadable(where, error) from error


def unreadable(where: str, error: Exception) -> ModelError:
    """What is said of a bill that cannot be read."""
    return ModelError(
        f"no bill of materials: {error}",
        where=where,
        hint="write it again with `adloom weights declare`",
    )


def _part(values: Mapping[str, Any]) -> Part:
    licence, commercial = values["licence"], values["commercial_use"]
    if commercial not in (None, True, False):
        raise ValueError(f"commercial_use {commercial!r} is not true, false or null")
    return Part(
        tuple(str(c) for c in values["components"]),
        str(values["origin"]),
        None if licence is None else str(licence),
        commercial,
    )


def obstacles(bill: Bill | None, components: Sequence[str]) -> tuple[str, ...]:
    """Why these components may not be used commercially, one line each; none: they may.

    What is not on the bill is unstated, and what is unstated is not allowed.
    """
    if bill is None:
        return (f"no {BILL_FILE}: licence unstated",)
    listed = {c for part in bill.parts for c in part.components}
    lines = [f"{c}: not on the bill, licence unstated" for c in components if c not in listed]
    for part in bill.parts:
        present = [c for c in part.components if c in components]
        if present and not part.is_commercial:
            licence = part.licence or "licence unstated"
            lines.append(f"{', '.join(present)}: {licence} ({part.origin})")
    return tuple(lines)


def differences(bill: Bill, at_hand: Sequence[WeightsFile]) -> Differences:
    """Which files are missing, changed, or not on the bill."""
    said = {f.path: f.sha256 for f in bill.files}
    found = {f.path: f.sha256 for f in at_hand}
    return Differences(
        tuple(sorted(said.keys() - found.keys())),
        tuple(sorted(p for p in said.keys() & found.keys() if said[p] != found[p])),
        tuple(sorted(found.keys() - said.keys())),
    )
