"""Campaigns as they are written in YAML, and their JSON Schema."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from adloom.campaign import (
    MAX_ATTEMPTS,
    Budget,
    CampaignSpec,
    Finishing,
    Refresh,
    Selection,
)
from adloom.deadlines import checked_deadline
from adloom.finishing_spec import DEFAULT_STRENGTH, ImageFormat, Upscaler, Upscaling
from adloom.gates import DEFAULT_GATES, Gate
from adloom.geometry import FORMATS
from adloom.prices import parse_price
from adloom.scenes import Slug
from adloom.scores import Metric, Stage
from adloom.yaml_spec import parse_yaml, validated

_SCORES = tuple(f"{stage}.{metric}" for stage in Stage for metric in Metric)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Selection(_Strict):
    sources: list[Slug] = Field(default=[], description="catalogue sources; empty: all")
    categories: list[str] = Field(default=[], description="words of the category path; empty: all")
    brands: list[str] = []
    external_ids: list[str] = []
    in_stock_only: bool = False
    photo_roles: Annotated[list[Literal["main", "additional"]], Field(min_length=1)] = ["main"]
    photo: Literal["main", "best"] = Field(
        default="main",
        description="which photo shows a product: the first of each role, or the best of all",
    )
    limit: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_photo(self) -> "_Selection":
        if self.photo == "best" and self.photo_roles != ["main"]:
            raise ValueError("photo: best takes one photo of all roles; leave photo_roles out")
        return self


class _Finishing(_Strict):
    detail_lock: bool = True
    encoding: Literal["webp", "jpeg", "png"] = "webp"
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    upscaler: Literal["lanczos", "refine", "network"] = Field(
        default="lanczos",
        description="what enlarges the render: interpolation; a second pass of the model over the "
        "background; a super-resolution network",
    )
    strength: Annotated[float, Field(gt=0.0, le=0.6)] | None = Field(
        default=None,
        description=f"of `refine`: how much is drawn again; {DEFAULT_STRENGTH} if not given",
    )

    @model_validator(mode="after")
    def _strength_is_of_refine(self) -> "_Finishing":
        if self.strength is not None and self.upscaler != Upscaler.REFINE:
            raise ValueError(f"strength is for `upscaler: refine`, not {self.upscaler}")
        return self

    def upscaling(self) -> Upscaling:
        """A network's weights are named when the campaign is applied: see `tasks.campaigns`."""
        upscaler = Upscaler(self.upscaler)
        if upscaler is Upscaler.REFINE:
            return Upscaling(upscaler, self.strength or DEFAULT_STRENGTH)
        return Upscaling(upscaler)


class _Budget(_Strict):
    max_renders: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="a plan of more new renders is refused"
    )
    images: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="a run that has made so many begins no more"
    )
    gpu_seconds: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = Field(
        default=None, description="measured time of devices after which a run begins no more"
    )
    money: str | None = Field(
        default=None, description="such as 12.50 USD: gpu_seconds by ADLOOM_GPU_HOUR_PRICE"
    )

    @field_validator("money")
    @classmethod
    def _amount(cls, text: str | None) -> str | None:
        if text is not None:
            price = parse_price(text)
            if price is None or not price.amount:
                raise ValueError("must be an amount above zero, such as 12.50 USD")
        return text

    def budget(self) -> Budget:
        money = parse_price(self.money) if self.money is not None else None
        return Budget(self.max_renders, self.images, self.gpu_seconds, money)


class _Gate(_Strict):
    score: str
    min: float | None = None
    max: float | None = None
    margin: Annotated[float, Field(ge=0.0)] = 0.0

    @field_validator("score")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in _SCORES:
            raise ValueError(f"there is no score '{name}'; there are {', '.join(_SCORES)}")
        return name

    @model_validator(mode="after")
    def _bounded(self) -> "_Gate":
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: nothing could pass")
        return self


class CampaignDocument(_Strict):
    """A campaign as it is written in YAML. `adloom campaign schema` prints its JSON Schema."""

    campaign: Slug = Field(description="name of the campaign; a new spec under it replaces the old")
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    selection: _Selection = _Selection()
    scenes: Annotated[list[Slug], Field(min_length=1, description="slugs of scene templates")]
    formats: Annotated[list[str], Field(min_length=1, description=", ".join(FORMATS))]
    variants: Annotated[int, Field(ge=1, le=100)] = 1
    draws: Annotated[int, Field(ge=1, le=20)] = Field(
        default=1, description="how many seeds a rejected slot may be given in all"
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    refresh: Literal["new", "changed", "all"] = Field(
        default="all",
        description="which slots a run takes: those never rendered, these and those whose image "
        "would change, or all",
    )
    model: Annotated[str, StringConstraints(min_length=1)] = "mini"
    steps: Annotated[int, Field(ge=1, le=200)] | None = None
    guidance: Annotated[float, Field(ge=1.0, le=30.0)] | None = None
    reference_scale: Annotated[float, Field(ge=0.0, le=4.0)] | None = None
    finishing: _Finishing = _Finishing()
    gates: list[_Gate] | None = Field(default=None, description="none given: the default gates")
    budget: _Budget = _Budget()
    min_mask_confidence: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        default=MAX_ATTEMPTS, description="how often a render that fails is tried, over all runs"
    )
    webhook: Slug | None = Field(
        default=None, description="name of the endpoint to tell: ADLOOM_WEBHOOK_<NAME> is its URL"
    )
    deadline: str | None = Field(
        default=None,
        description="when the webhook is told how far a run is: '05:00', '05:00 Europe/Berlin' "
        "(UTC if no zone is named), or so long after its start: 6h",
    )

    @field_validator("deadline", mode="before")
    @classmethod
    def _known_time(cls, text: Any, info: ValidationInfo) -> Any:
        if text is None:
            return None
        if isinstance(text, int):  # YAML 1.1 reads 10:00 as a number of base 60
            raise ValueError("put it in quotes: '05:00'")
        if info.data.get("webhook", "") is None:
            raise ValueError("needs a webhook, which is told how far the run is")
        return checked_deadline(str(text))

    @field_validator("formats")
    @classmethod
    def _known_formats(cls, slugs: list[str]) -> list[str]:
        for slug in slugs:
            if slug not in FORMATS:
                raise ValueError(f"there is no format '{slug}'; there are {', '.join(FORMATS)}")
        return _without_repeats(slugs)

    @field_validator("scenes")
    @classmethod
    def _unique_scenes(cls, slugs: list[str]) -> list[str]:
        return _without_repeats(slugs)

    def spec(self) -> CampaignSpec:
        gates = (
            DEFAULT_GATES
            if self.gates is None
            else tuple(Gate(**g.model_dump()) for g in self.gates)
        )
        chosen, finishing = self.selection, self.finishing
        return CampaignSpec(
            slug=self.campaign,
            title=self.title or self.campaign,
            scenes=tuple(self.scenes),
            formats=tuple(self.formats),
            selection=Selection(
                sources=tuple(chosen.sources),
                categories=tuple(chosen.categories),
                brands=tuple(chosen.brands),
                external_ids=tuple(chosen.external_ids),
                in_stock_only=chosen.in_stock_only,
                photo_roles=tuple(chosen.photo_roles),
                photo=chosen.photo,
                limit=chosen.limit,
            ),
            variants=self.variants,
            draws=self.draws,
            seed=self.seed,
            refresh=Refresh(self.refresh),
            model=self.model,
            steps=self.steps,
            guidance=self.guidance,
            reference_scale=self.reference_scale,
            finishing=Finishing(
                finishing.detail_lock,
                ImageFormat(finishing.encoding),
                finishing.quality,
                finishing.upscaling(),
            ),
            gates=gates,
            budget=self.budget.budget(),
            min_mask_confidence=self.min_mask_confidence,
            max_attempts=self.max_attempts,
            deadline=self.deadline,
            webhook=self.webhook,
        )


def _without_repeats(values: list[str]) -> list[str]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"'{value}' occurs twice")
    return values


def parse_campaign(text: str, *, where: str) -> CampaignSpec:
    """A campaign from YAML text; `where` names the file in errors.

    Raises SpecError naming file, line and field of each problem.
    """
    document = parse_yaml(text, where=where)
    return validated(CampaignDocument, document, where=where).spec()


def campaign_json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the campaign file, for editors."""
    schema = CampaignDocument.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
