"""Campaigns: applied, listed, planned without running."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adloom.campaign import CampaignSpec
from adloom.campaign_document import parse_campaign
from adloom.errors import InvalidInputError, NotFoundError, Problem, SpecError
from adloom.planning import PlannedItem, SkippedProduct, plan
from adloom.records import CampaignRecord
from adloom.states import RenderState
from db.engine import Transaction
from db.queries import campaigns, runs, scenes, selection
from tasks import resident
from tasks.catalog import chunks
from tasks.environment import Environment

CHUNK = 1000
SECONDS_PER_STEP, SECONDS_PER_RENDER = 0.02, 0.6
"""Rough costs of `mini` on two CPU cores: a guided step; masks, scores and finishing."""


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


def planned(
    tx: Transaction, env: Environment, spec: CampaignSpec, *, pinned: str | None
) -> Iterator[PlannedItem | SkippedProduct]:
    """The plan of a spec over the products as they are; streams, so consume it within `tx`.

    Raises ModelError if the weights at hand are not those of the hash `pinned` (None: any).
    """
    identity = resident.identity(spec.model, env.rendering)
    resident.require_pinned(pinned, identity.weights_hash, where=f"campaign '{spec.slug}'")
    chosen = scenes.latest(tx, env.workspace_id, spec.scenes)
    yield from selection.unplannable(tx, env.workspace_id, spec)
    yield from plan(spec, selection.plannable(tx, env.workspace_id, spec), chosen, identity)


def estimate(env: Environment, slug: str) -> Estimate:
    """Dry run of a campaign: inserts nothing. Raises ModelError as a run would."""
    with env.database.transaction() as tx:
        campaign = campaigns.get(tx, env.workspace_id, slug)
    return estimate_of(env, campaign.spec, pinned=campaign.model_revision)


def estimate_of(env: Environment, spec: CampaignSpec, *, pinned: str | None = None) -> Estimate:
    """Dry run of a specification, stored or not, with the weights it is `pinned` to, if any."""
    skipped: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    products: set[int] = set()
    slots, there, missing, steps = 0, 0, set[str](), 0
    with env.database.transaction() as reading, env.database.transaction() as looking:
        for chunk in chunks(planned(reading, env, spec, pinned=pinned), CHUNK):
            items = [i for i in chunk if isinstance(i, PlannedItem)]
            skipped.update(s.reason for s in chunk if isinstance(s, SkippedProduct))
            warnings.update(i.warning for i in items if i.warning)
            states = runs.existing(looking, env.workspace_id, [i.spec.fingerprint for i in items])
            for item in items:
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
        tuple(f"{text} ({n} creatives)" for text, n in warnings.most_common(10)),
        (steps * SECONDS_PER_STEP + len(missing) * SECONDS_PER_RENDER) / 60,
        "on two CPU cores with `mini`",
        limit, limit is not None and len(missing) > limit,
    )  # fmt: skip
