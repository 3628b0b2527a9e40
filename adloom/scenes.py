"""Scene templates and the YAML packs they come in."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from adloom.errors import SceneError
from adloom.geometry import Anchor, Placement
from adloom.prompts import placeholders_of
from adloom.render_spec import Sampler, too_many_steps
from adloom.yaml_spec import parse_yaml, validated

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFraction = Annotated[float, Field(gt=0.0, le=1.0)]


@dataclass(frozen=True, slots=True)
class SceneTemplate:
    """A scene into which any product that suits it can be put; `slug` + `version` name it."""

    slug: str
    version: int
    title: str
    prompt: str
    negative_prompt: str
    placement: Placement
    sampler: Sampler
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sampler": self.sampler.to_json()}

    @property
    def content_hash(self) -> str:
        """Sha256 over all that the template says: changed content needs a new version."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def suits(self, category: str) -> bool:
        """Whether a product of this category path may stand in this scene (by whole words)."""
        words = set(re.findall(r"[a-z0-9-]+", category.lower()))
        return not self.categories or any(c.lower() in words for c in self.categories)


@dataclass(frozen=True, slots=True)
class ScenePack:
    slug: str
    version: int
    templates: tuple[SceneTemplate, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)


class _Placement(_Strict):
    anchor: Literal["bottom", "center"] = "bottom"
    center_x: Fraction = 0.5
    baseline_y: Fraction = 0.8
    height: PositiveFraction = 0.55
    max_width: PositiveFraction = 0.8


class _Shortcuts(_Strict):
    product_tokens_only: bool = False
    guided_above: Fraction = 0.0
    guided_below: Fraction = 1.0
    reuse_every: Annotated[int, Field(ge=1, le=10)] = 1

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.guided_above >= self.guided_below:
            raise ValueError("guided_above must be less than guided_below")
        return self


class _Sampler(_Strict):
    name: Literal["ddim", "dpm++", "unipc", "lcm", "tcd"] = "ddim"
    steps: Annotated[int, Field(ge=1, le=200)] = 20
    guidance: Annotated[float, Field(ge=1.0, le=30.0)] = 4.0
    reference_scale: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0
    shortcuts: _Shortcuts = _Shortcuts()

    @field_validator("steps")
    @classmethod
    def _within_the_samplers(cls, steps: int, info: ValidationInfo) -> int:
        refusal = too_many_steps(info.data.get("name", "ddim"), steps)
        if refusal is not None:
            raise ValueError(refusal)
        return steps


class _Template(_Strict):
    slug: Slug
    version: Annotated[int, Field(ge=1)]
    title: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    negative_prompt: Annotated[str, StringConstraints(max_length=1000)] = ""
    placement: _Placement = _Placement()
    sampler: _Sampler = _Sampler()
    categories: list[str] = []
    tags: list[str] = []

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _known_placeholders(cls, text: str) -> str:
        placeholders_of(text)
        return text

    def template(self) -> SceneTemplate:
        place = self.placement
        return SceneTemplate(
            self.slug,
            self.version,
            self.title,
            self.prompt,
            self.negative_prompt,
            Placement(
                Anchor(place.anchor),
                place.center_x,
                place.baseline_y,
                place.height,
                place.max_width,
            ),
            Sampler.from_json(self.sampler.model_dump()),
            tuple(self.categories),
            tuple(self.tags),
        )


class _Pack(_Strict):
    pack: Slug
    version: Annotated[int, Field(ge=1)]
    templates: Annotated[list[_Template], Field(min_length=1)]

    @field_validator("templates")
    @classmethod
    def _unique(cls, templates: list[_Template]) -> list[_Template]:
        seen: set[str] = set()
        for t in templates:
            if t.slug in seen:
                raise ValueError(
                    f"the slug '{t.slug}' occurs twice; slugs must be unique in a pack"
                )
            seen.add(t.slug)
        return templates


def parse_scene_pack(text: str, *, where: str) -> ScenePack:
    """A scene pack from YAML text; `where` names the file in errors.

    Raises SceneError with line and field of each problem.
    """
    document = parse_yaml(text, where=where, error=SceneError)
    pack = validated(_Pack, document, where=where, error=SceneError)
    return ScenePack(pack.pack, pack.version, tuple(t.template() for t in pack.templates))
