"""Campaigns: checked, applied, listed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from adloom.campaign import CampaignSpec
from adloom.campaign_document import parse_campaign
from adloom.errors import (
    AdloomError,
    ConfigurationError,
    InvalidInputError,
    NotFoundError,
    Problem,
    SpecError,
)
from adloom.finishing_spec import Upscaler
from adloom.records import CampaignRecord
from adloom.render_spec import too_many_steps
from adloom.yaml_spec import Document, dotted, parse_yaml
from adloom.yaml_spec import Path as FieldPath
from db.engine import Transaction
from db.queries import campaigns, catalog, scenes
from tasks import resident
from tasks.environment import Environment, Rendering


@dataclass(frozen=True, slots=True)
class Applied:
    """`unpinned_from`: the weights that the campaign was pinned to until now; its next run pins it
    to those at hand."""

    slug: str
    change: str
    scenes: int
    formats: int
    variants: int
    unpinned_from: str | None


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

    Raises SpecError naming file, line and field; also for weights, scenes and catalogue sources
    that do not exist. Raises ModelError for a super-resolution network that cannot be used.
    """
    return apply_text(env, read_text(file), where=str(file))


def apply_text(env: Environment, text: str, *, where: str) -> Applied:
    """`apply_file` of a file's text; `where` names it in errors."""
    spec = with_upscaler_weights(checked_text(env, text, where=where), env.rendering)
    with env.database.transaction() as tx:
        applied = campaigns.apply(tx, env.workspace_id, spec)
    return Applied(
        spec.slug,
        applied.change.value,
        len(spec.scenes),
        len(spec.formats),
        spec.variants,
        applied.unpinned_from,
    )


def checked_text(env: Environment, text: str, *, where: str) -> CampaignSpec:
    """What a campaign's text says, if it can work; nothing is stored. Raises SpecError as
    `apply_file` does."""
    spec = parse_campaign(text, where=where)
    with env.database.transaction() as tx:
        require_known(tx, env, spec, where=where, file=parse_yaml(text, where=where))
    return spec


def with_upscaler_weights(spec: CampaignSpec, rendering: Rendering) -> CampaignSpec:
    """The campaign, its super-resolution network named by hash if it asks for one: other weights
    under the same name are another finishing.

    Raises ModelError for a network that cannot be used.
    """
    if spec.finishing.upscaling.upscaler is not Upscaler.NETWORK:
        return spec
    named = replace(spec.finishing.upscaling, weights=resident.upscaler(rendering).weights_hash)
    return replace(spec, finishing=replace(spec.finishing, upscaling=named))


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


def require_known(
    tx: Transaction, env: Environment, spec: CampaignSpec, *, where: str, file: Document
) -> None:
    """Raises SpecError, by line and field, for what a campaign names and does not exist: weights,
    scenes, catalogue sources."""
    unknown = [*_unknown_weights(env, spec), *unknown_names(tx, env, spec)]
    if unknown:
        found = (Problem(file.line_of(path), dotted(path), said) for path, said in unknown)
        raise SpecError(where=where, problems=tuple(found))


def unknown_names(
    tx: Transaction, env: Environment, spec: CampaignSpec
) -> Iterator[tuple[FieldPath, str]]:
    """The scenes and sources that a campaign names and do not exist: the field, and what there
    is. Also `steps` that a scene's sampler does not know."""
    for i, slug in enumerate(spec.scenes):
        try:
            (scene,) = scenes.latest(tx, env.workspace_id, (slug,))
        except NotFoundError as error:
            yield ("scenes", i), _said(error)
            continue
        sampler = spec.sampler_for(scene.sampler)
        refusal = too_many_steps(sampler.name, sampler.steps)
        if refusal is not None:
            yield ("steps",), f"{refusal}; it is the sampler of the scene '{slug}'"
    sources = catalog.source_slugs(tx, env.workspace_id)
    for i, slug in enumerate(spec.selection.sources):
        if slug not in sources:
            there = ", ".join(sources) or "none yet; add one with `adloom catalog add`"
            said = f"there is no catalogue source '{slug}'; there are: {there}"
            yield ("selection", "sources", i), said


def _unknown_weights(env: Environment, spec: CampaignSpec) -> Iterator[tuple[FieldPath, str]]:
    try:
        resident.check_model(spec.model, env.rendering)
    except (NotFoundError, ConfigurationError) as error:
        yield ("model",), _said(error)


def _said(error: AdloomError) -> str:
    return error.message + (f"; {error.hint}" if error.hint else "")


def list_campaigns(env: Environment) -> tuple[CampaignLine, ...]:
    with env.database.transaction() as tx:
        found = campaigns.list_all(tx, env.workspace_id)

    def line(c: CampaignRecord) -> CampaignLine:
        s = c.spec
        return CampaignLine(
            s.slug, s.title, len(s.scenes), len(s.formats), s.variants, c.updated_at, c.last_run_id
        )

    return tuple(line(c) for c in found)
