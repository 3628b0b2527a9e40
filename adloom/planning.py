"""Products × scenes × formats × variants -> slots -> RenderSpecs. Pure: same inputs, same plan."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from adloom.campaign import CampaignSpec
from adloom.catalog import PhotoRole
from adloom.errors import PromptTooLongError
from adloom.geometry import FORMATS, Format, Size, place_native
from adloom.prompts import ProductWords, fill, fit
from adloom.render_spec import RENDERER_VERSION, RenderSpec, seed_for
from adloom.scenes import SceneTemplate


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
class PlannedItem:
    """A slot and the render that fills it; `unknown_words` of its prompts the model leaves out."""

    slot: SlotKey
    scene_version: int
    draw: int
    spec: RenderSpec
    warning: str | None = None
    unknown_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedProduct:
    """A selected product from which no slot can be planned, and why."""

    product_id: int
    external_id: str
    reason: str
    detail: str


def plan_slot(
    campaign: CampaignSpec,
    product: PlannableProduct,
    scene: SceneTemplate,
    fmt: Format,
    variant: int,
    renderer: RendererIdentity,
    *,
    draw: int = 0,
) -> PlannedItem:
    """The render of one slot's n-th draw. Raises PromptTooLongError if no word of it fits."""
    words = ProductWords(product.title, product.category, product.brand, product.colours)
    prompt, negative = (
        fit(fill(text, words), count_tokens=renderer.count_tokens, max_tokens=renderer.max_tokens)
        for text in (scene.prompt, scene.negative_prompt)
    )
    sampler = campaign.sampler_for(scene.sampler)
    spec = RenderSpec(
        photo_sha256=product.photo_sha256,
        mask_sha256=product.mask_sha256,
        prompt=prompt.text,
        negative_prompt=negative.text,
        product_box=place_native(scene.placement, product.bbox_size, fmt, renderer.unit_px),
        native=fmt.native(renderer.unit_px),
        sampler=replace(
            sampler,
            guidance=float(sampler.guidance),
            reference_scale=float(sampler.reference_scale),
        ),
        seed=seed_for(
            product.photo_sha256, scene.slug, fmt.slug, variant, draw, campaign_seed=campaign.seed
        ),
        weights_hash=renderer.weights_hash,
        dtype=renderer.dtype,
        renderer_version=renderer.version,
    )
    slot = SlotKey(product.product_id, product.photo_role, scene.slug, fmt.slug, variant)
    unknown = (w for text in (prompt, negative) for w in renderer.unknown_words(text.text))
    words_unknown = tuple(dict.fromkeys(word.lower() for word in unknown))
    return PlannedItem(slot, scene.version, draw, spec, prompt.warning, words_unknown)


def plan(
    campaign: CampaignSpec,
    products: Iterable[PlannableProduct],
    scenes: Iterable[SceneTemplate],
    renderer: RendererIdentity,
) -> Iterator[PlannedItem | SkippedProduct]:
    """All slots of a campaign, product by product, in a fixed order.

    A product whose mask is not trusted, that suits none of the scenes, or whose words do not fit a
    prompt, is skipped with a reason; it never stops the plan.
    """
    chosen = sorted(scenes, key=lambda s: s.slug)
    formats = [FORMATS[slug] for slug in campaign.formats]
    for product in products:
        suiting = [s for s in chosen if s.suits(product.category)]
        skipped = _why_skipped(campaign, product, suiting)
        if skipped is not None:
            yield skipped
            continue
        try:
            yield from [
                plan_slot(campaign, product, scene, fmt, variant, renderer)
                for scene in suiting
                for fmt in formats
                for variant in range(campaign.variants)
            ]
        except PromptTooLongError as error:
            yield _skipped(
                product, "PROMPT_TOO_LONG", f"{error}; shorten its title, or the scene's prompt"
            )


def _skipped(product: PlannableProduct, reason: str, detail: str) -> SkippedProduct:
    return SkippedProduct(product.product_id, product.external_id, reason, detail)


def _why_skipped(
    campaign: CampaignSpec, product: PlannableProduct, suiting: list[SceneTemplate]
) -> SkippedProduct | None:
    because = partial(_skipped, product)
    if product.mask_confidence < campaign.min_mask_confidence:
        return because(
            "MASK_NOT_TRUSTED",
            f"mask confidence {product.mask_confidence:.2f} is below "
            f"{campaign.min_mask_confidence:.2f}; give a mask file or lower the bound",
        )
    if min(product.bbox_size.width, product.bbox_size.height) < 1:
        return because("MASK_EMPTY", "the mask shows no product; give a mask file")
    if not suiting:
        return because("NO_SCENE_SUITS", f"no chosen scene suits the category '{product.category}'")
    return None
