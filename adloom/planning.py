"""Products × scenes × formats × variants -> slots -> RenderSpecs. Pure: same inputs, same plan."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from adloom.campaign import CampaignSpec
from adloom.catalog import PhotoRole
from adloom.errors import PromptTooLongError
from adloom.geometry import FORMATS, Format, Size, place_native
from adloom.prompts import ProductWords, Prompt, fill, fit
from adloom.render_spec import RENDERER_VERSION, RenderSpec, Sampler, seed_for
from adloom.scenes import SceneTemplate

PLANNER_VERSION = "1"
"""Raised by hand when the same inputs give another plan: it is part of every slot's inputs, by
which a later run knows without planning that a slot's render is the one that it has."""


@dataclass(frozen=True, slots=True)
class PlannableProduct:
    """A product's photo with a cutout, as planning sees it; `bbox_size` is in photo px."""

    product_id: int
    external_id: str
    title: str
    category: str
    brand: str
    photo_sha256: str
    photo_role: PhotoRole
    mask_sha256: str
    mask_confidence: float
    bbox_size: Size
    colours: tuple[str, ...]

    @property
    def inputs(self) -> bytes:
        """Sha256 over all that planning reads of a product but whether it is planned at all."""
        size = self.bbox_size
        read = [
            self.photo_sha256, self.mask_sha256, size.width, size.height, self.title,
            self.category, self.brand, self.colours,
        ]  # fmt: skip
        return _sha256(read)


@dataclass(frozen=True, slots=True)
class RendererIdentity:
    """What planning must know of the model: its identity, its sizes and its text encoder.

    The renderer refuses prompts beyond `max_tokens`, so planning fits them. `unknown_words`: those
    of a prompt that the text encoder has never seen and leaves out.
    """

    weights_hash: str
    dtype: str
    unit_px: int
    max_tokens: int
    count_tokens: Callable[[str], int]
    version: str = RENDERER_VERSION
    unknown_words: Callable[[str], tuple[str, ...]] = lambda _: ()


@dataclass(frozen=True, slots=True, order=True)
class SlotKey:
    """A creative's identity within its campaign."""

    product_id: int
    photo_role: PhotoRole
    scene_slug: str
    format_slug: str
    variant: int


@dataclass(frozen=True, slots=True)
class SlotInputs:
    """All that decides the first draw of a slot, as two hashes: the product's part and the rest."""

    product: bytes
    recipe: bytes


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """A slot and the render that fills it; `inputs` are what it was planned from, if known;
    `unknown_words` of its prompts the model leaves out."""

    slot: SlotKey
    scene_version: int
    draw: int
    spec: RenderSpec
    warning: str | None = None
    inputs: SlotInputs | None = None
    unknown_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotRecipe:
    """What the slots of one scene, format and variant have in common for every product."""

    scene: SceneTemplate
    fmt: Format
    variant: int
    inputs: bytes


@dataclass(frozen=True, slots=True)
class SkippedProduct:
    """A selected product from which no slot can be planned, and why."""

    product_id: int
    external_id: str
    reason: str
    detail: str


class Planner:
    """Plans the slots of one campaign for one renderer; what slots share is worked out once."""

    def __init__(
        self, campaign: CampaignSpec, scenes: Iterable[SceneTemplate], renderer: RendererIdentity
    ) -> None:
        self._campaign = campaign
        self._renderer = renderer
        self._scenes = sorted(scenes, key=lambda s: s.slug)
        self._samplers = {s.slug: _sampler(campaign, s) for s in self._scenes}
        self._recipes = {s.slug: tuple(self._recipes_of(s)) for s in self._scenes}
        self._suits: dict[tuple[str, ...], tuple[SlotRecipe, ...]] = {}
        self._fit = lru_cache(maxsize=10_000)(self._fitted)
        self._suiting = lru_cache(maxsize=10_000)(self._suiting_scenes)

    def recipes_for(self, product: PlannableProduct) -> tuple[SlotRecipe, ...] | SkippedProduct:
        """The recipes of all slots of a product, in a fixed order, or why it has none.

        A product whose mask is not trusted, or that suits none of the scenes, is skipped with a
        reason; it never stops the plan. Products that suit the same scenes get the same tuple.
        """
        suiting = self._suiting(product.category)
        skipped = _why_skipped(self._campaign, product, bool(suiting))
        return suiting if skipped is None else skipped

    def items(
        self, product: PlannableProduct, recipes: Iterable[SlotRecipe], *, draw: int = 0
    ) -> Iterator[PlannedItem]:
        """The renders of a product's slots. Raises PromptTooLongError if no word of one fits."""
        campaign, renderer, inputs = self._campaign, self._renderer, product.inputs
        words = ProductWords(product.title, product.category, product.brand, product.colours)
        prompts: dict[str, tuple[Prompt, Prompt, tuple[str, ...]]] = {}
        for recipe in recipes:
            scene, fmt = recipe.scene, recipe.fmt
            if scene.slug not in prompts:
                texts = fill(scene.prompt, words), fill(scene.negative_prompt, words)
                (prompt, unknown), (negative, also_unknown) = map(self._fit, texts)
                words_unknown = tuple(dict.fromkeys((*unknown, *also_unknown)))
                prompts[scene.slug] = prompt, negative, words_unknown
            prompt, negative, words_unknown = prompts[scene.slug]
            spec = RenderSpec(
                photo_sha256=product.photo_sha256,
                mask_sha256=product.mask_sha256,
                prompt=prompt.text,
                negative_prompt=negative.text,
                product_box=place_native(scene.placement, product.bbox_size, fmt, renderer.unit_px),
                native=fmt.native(renderer.unit_px),
                sampler=self._samplers[scene.slug],
                seed=seed_for(
                    product.photo_sha256, scene.slug, fmt.slug, recipe.variant, draw,
                    campaign_seed=campaign.seed,
                ),
                weights_hash=renderer.weights_hash,
                dtype=renderer.dtype,
                renderer_version=renderer.version,
            )  # fmt: skip
            slot = SlotKey(
                product.product_id, product.photo_role, scene.slug, fmt.slug, recipe.variant
            )
            yield PlannedItem(
                slot, scene.version, draw, spec, prompt.warning,
                SlotInputs(inputs, recipe.inputs), words_unknown,
            )  # fmt: skip

    def items_or_refusal(
        self, product: PlannableProduct, recipes: Iterable[SlotRecipe]
    ) -> list[PlannedItem] | SkippedProduct:
        """The first draws of a product's slots, or why it cannot be planned."""
        try:
            return list(self.items(product, recipes))
        except PromptTooLongError as error:
            return SkippedProduct(
                product.product_id, product.external_id, "PROMPT_TOO_LONG",
                f"{error}; shorten its title, or the scene's prompt",
            )  # fmt: skip

    def _suiting_scenes(self, category: str) -> tuple[SlotRecipe, ...]:
        slugs = tuple(s.slug for s in self._scenes if s.suits(category))
        if slugs not in self._suits:
            self._suits[slugs] = tuple(r for slug in slugs for r in self._recipes[slug])
        return self._suits[slugs]

    def _recipes_of(self, scene: SceneTemplate) -> Iterator[SlotRecipe]:
        campaign, renderer = self._campaign, self._renderer
        for fmt in (FORMATS[slug] for slug in campaign.formats):
            for variant in range(campaign.variants):
                read = [
                    PLANNER_VERSION, scene.slug, scene.prompt, scene.negative_prompt,
                    asdict(scene.placement), asdict(self._samplers[scene.slug]), asdict(fmt),
                    variant, campaign.seed, renderer.weights_hash, renderer.dtype,
                    renderer.unit_px, renderer.max_tokens, renderer.version,
                ]  # fmt: skip
                yield SlotRecipe(scene, fmt, variant, _sha256(read))

    def _fitted(self, text: str) -> tuple[Prompt, tuple[str, ...]]:
        """The prompt, and the words of it that the model does not know, in lower case."""
        renderer = self._renderer
        prompt = fit(text, count_tokens=renderer.count_tokens, max_tokens=renderer.max_tokens)
        return prompt, tuple(word.lower() for word in renderer.unknown_words(prompt.text))


def plan(
    campaign: CampaignSpec,
    products: Iterable[PlannableProduct],
    scenes: Iterable[SceneTemplate],
    renderer: RendererIdentity,
) -> Iterator[PlannedItem | SkippedProduct]:
    """All slots of a campaign, product by product, in a fixed order; see `Planner.recipes_for`."""
    planner = Planner(campaign, scenes, renderer)
    for product in products:
        recipes = planner.recipes_for(product)
        if isinstance(recipes, SkippedProduct):
            yield recipes
            continue
        items = planner.items_or_refusal(product, recipes)
        if isinstance(items, SkippedProduct):
            yield items
        else:
            yield from items


def _sampler(campaign: CampaignSpec, scene: SceneTemplate) -> Sampler:
    s = campaign.sampler_for(scene.sampler)
    return replace(s, guidance=float(s.guidance), reference_scale=float(s.reference_scale))


def _sha256(values: list[object]) -> bytes:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()


def _why_skipped(
    campaign: CampaignSpec, product: PlannableProduct, suits: bool
) -> SkippedProduct | None:
    def because(reason: str, detail: str) -> SkippedProduct:
        return SkippedProduct(product.product_id, product.external_id, reason, detail)

    if product.mask_confidence < campaign.min_mask_confidence:
        return because(
            "MASK_NOT_TRUSTED",
            f"mask confidence {product.mask_confidence:.2f} is below "
            f"{campaign.min_mask_confidence:.2f}; give a mask file or lower the bound",
        )
    if min(product.bbox_size.width, product.bbox_size.height) < 1:
        return because("MASK_EMPTY", "the mask shows no product; give a mask file")
    if not suits:
        return because("NO_SCENE_SUITS", f"no chosen scene suits the category '{product.category}'")
    return None
