"""Campaigns: applied, listed, planned without running."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adloom.campaign import CampaignSpec
from adloom.campaign_document import parse_campaign
from adloom.errors import InvalidInputError, NotFoundError, Problem, SpecError
from adloom.records import CampaignRecord
from db.engine import Transaction
from db.queries import campaigns, scenes
from tasks import resident
from tasks.environment import Environment


@dataclass(frozen=True, slots=True)
class Applied:
    slug: str
    change: str
    scenes: int
    formats: int
    variants: int


@dataclass(frozen=True, slots=True)
class CampaignLine:
    slug: str
    title: str
    scenes: int
    formats: int
    variants: int
    changed_at: datetime
    last_run: int | None


def apply_file(env: Environment, file: Path) -> Applied:
    """Checks and stores a campaign file.

    Raises SpecError naming file, line and field; also for scenes that do not exist.
    """
    text = read_text(file)
    spec = parse_campaign(text, where=str(file))
    _require_weights(env, spec, str(file), text)
    with env.database.transaction() as tx:
        _require_scenes(tx, env, spec, str(file), text)
        change = campaigns.apply(tx, env.workspace_id, spec)
    return Applied(spec.slug, change.value, len(spec.scenes), len(spec.formats), spec.variants)


def read_text(file: Path) -> str:
    """A text file that the user named. Raises InvalidInputError if it cannot be read as UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInputError(
            f"cannot be read: {error.strerror}", where=str(file), hint="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"is not UTF-8 text (byte {error.start})", where=str(file), hint="save it as UTF-8"
        ) from error


def _require_weights(env: Environment, spec: CampaignSpec, where: str, text: str) -> None:
    try:
        resident.weights_path(spec.model, env.rendering.weights_root)
    except NotFoundError as error:
        line = _line_of(r"\s*model\s*:", text)
        raise SpecError(
            where=where, problems=(Problem(line, "model", error.message),), hint=error.hint
        ) from error


def _line_of(pattern: str, text: str) -> int | None:
    """The first line (from 1) that matches from its start."""
    lines = text.split("\n")
    return next((n for n, line in enumerate(lines, 1) if re.match(pattern, line)), None)


def _require_scenes(
    tx: Transaction, env: Environment, spec: CampaignSpec, where: str, text: str
) -> None:
    problems: list[Problem] = []
    for i, slug in enumerate(spec.scenes):
        try:
            scenes.latest(tx, env.workspace_id, (slug,))
        except NotFoundError as error:
            line = next((n for n, t in enumerate(text.split("\n"), 1) if slug in t), None)
            what = error.message + (f"; {error.hint}" if error.hint else "")
            problems.append(Problem(line, f"scenes[{i}]", what))
    if problems:
        raise SpecError(where=where, problems=tuple(problems))


def list_campaigns(env: Environment) -> tuple[CampaignLine, ...]:
    with env.database.transaction() as tx:
        found = campaigns.list_all(tx, env.workspace_id)

    def line(c: CampaignRecord) -> CampaignLine:
        s = c.spec
        return CampaignLine(
            s.slug, s.title, len(s.scenes), len(s.formats), s.variants, c.updated_at, c.last_run_id
        )

    return tuple(line(c) for c in found)
