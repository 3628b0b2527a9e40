from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from adloom.campaign import CampaignSpec
from adloom.catalog import PhotoRole
from adloom.geometry import Anchor, Placement, Size
from adloom.planning import (
    PLANNER_VERSION,
    PlannableProduct,
    PlannedItem,
    Planner,
    RendererIdentity,
    SkippedProduct,
    plan,
)
from adloom.render_spec import Sampler
from adloom.scenes import SceneTemplate
from tests.unit.core.strategies import products, renderer, templates

campaigns = st.builds(
    CampaignSpec,
    slug=st.just("spring"),
    title=st.just("Spring"),
    scenes=st.just(("any",)),
    formats=st.lists(
        st.sampled_from(["1:1", "4:5", "9:16", "1.91:1"]), min_size=1, unique=True
    ).map(tuple),
    variants=st.integers(1, 3),
    seed=st.integers(0, 5),
    min_mask_confidence=st.floats(0, 1),
)
scene_lists = st.lists(templates, min_size=1, max_size=4, unique_by=lambda t: t.slug)
product_lists = st.lists(products, max_size=5, unique_by=lambda p: p.product_id)


@given(campaigns, product_lists, scene_lists)
def test_the_same_inputs_give_the_same_plan(
    campaign: CampaignSpec, selected: list[PlannableProduct], scenes: list[SceneTemplate]
) -> None:
    first = list(plan(campaign, selected, scenes, renderer()))
    assert first == list(plan(campaign, selected, list(reversed(scenes)), renderer()))


@given(campaigns, product_lists, scene_lists)
def test_every_product_is_planned_in_full_or_skipped_with_a_reason(
    campaign: CampaignSpec, selected: list[PlannableProduct], scenes: list[SceneTemplate]
) -> None:
    out = list(plan(campaign, selected, scenes, renderer()))
    skipped = {s.product_id for s in out if isinstance(s, SkippedProduct)}
    for product in selected:
        items = [
            i for i in out if isinstance(i, PlannedItem) and i.slot.product_id == product.product_id
        ]
        suiting = [s for s in scenes if s.suits(product.category)]
        expected = len(suiting) * len(campaign.formats) * campaign.variants
        assert len(items) == (0 if product.product_id in skipped else expected)
        assert bool(items) != (product.product_id in skipped)


@given(campaigns, product_lists, scene_lists)
def test_slots_of_a_plan_are_unique(
    campaign: CampaignSpec, selected: list[PlannableProduct], scenes: list[SceneTemplate]
) -> None:
    out = plan(campaign, selected, scenes, renderer())
    slots = [i.slot for i in out if isinstance(i, PlannedItem)]
    assert len(slots) == len(set(slots))


PRODUCT = PlannableProduct(
    product_id=1, external_id="sku-1", title="Blue Mug", category="Kitchen > Mug", brand="Acme",
    photo_sha256="1" * 64, photo_role=PhotoRole.MAIN, mask_sha256="2" * 64, mask_confidence=0.9,
    bbox_size=Size(300, 400), colours=("blue", "white"),
)  # fmt: skip


def planned(
    campaign: CampaignSpec,
    product: PlannableProduct,
    scene: SceneTemplate,
    identity: RendererIdentity,
    *,
    draw: int = 0,
) -> PlannedItem:
    """The only slot of a campaign of one scene and one format."""
    planner = Planner(campaign, [scene], identity)
    recipes = planner.recipes_for(product)
    assert not isinstance(recipes, SkippedProduct)
    (item,) = planner.items(product, recipes, draw=draw)
    return item


SCENE = SceneTemplate(
    "s", 1, "S", "a {category}", "", Placement(Anchor.BOTTOM, 0.5, 0.8, 0.5, 0.8), Sampler()
)
CAMPAIGN = CampaignSpec("a", "A", ("s",), ("1:1",))


@given(templates)
def test_what_does_not_change_pixels_changes_no_fingerprint(scene: SceneTemplate) -> None:
    scene = replace(scene, categories=())
    campaign = CampaignSpec("a", "A", (scene.slug,), ("1:1",))
    base = planned(campaign, PRODUCT, scene, renderer())
    renamed = replace(scene, version=scene.version + 1, title="other", tags=("x",))
    other_campaign = replace(campaign, slug="b", title="B", gates=())
    again = planned(other_campaign, PRODUCT, renamed, renderer())
    assert again.spec.fingerprint == base.spec.fingerprint
    assert again.inputs == base.inputs


def test_a_changed_photo_or_draw_or_weights_changes_the_fingerprint() -> None:
    prints = {
        planned(CAMPAIGN, PRODUCT, SCENE, renderer()).spec.fingerprint,
        planned(CAMPAIGN, PRODUCT, SCENE, renderer(), draw=1).spec.fingerprint,
        planned(
            CAMPAIGN, replace(PRODUCT, photo_sha256="9" * 64), SCENE, renderer()
        ).spec.fingerprint,
        planned(CAMPAIGN, PRODUCT, SCENE, renderer(weights_hash="0" * 64)).spec.fingerprint,
    }
    assert len(prints) == 4


def test_a_product_whose_words_fit_no_prompt_is_skipped_and_the_others_are_planned() -> None:
    def count(text: str) -> int:
        return 2 + len(text) // 4

    endless = replace(PRODUCT, product_id=2, external_id="sku-2", title="x" * 400)
    titled = replace(SCENE, prompt="{title}, on sand")
    campaign = replace(CAMPAIGN, formats=("1:1", "4:5"))
    narrow = renderer(max_tokens=20, count_tokens=count)
    out = list(plan(campaign, [endless, PRODUCT], [titled], narrow))
    assert [type(one) for one in out] == [SkippedProduct, PlannedItem, PlannedItem]
    assert isinstance(out[0], SkippedProduct)
    assert (out[0].external_id, out[0].reason) == ("sku-2", "PROMPT_TOO_LONG")


@given(products, products, templates, templates, st.integers(0, 1), st.integers(0, 1))
def test_equal_inputs_have_equal_renders(
    one: PlannableProduct, other: PlannableProduct, scene: SceneTemplate, scene_2: SceneTemplate,
    seed: int, seed_2: int,
) -> None:  # fmt: skip
    """A later run does not plan a slot whose inputs are those that it was planned from."""
    found = [
        planned(
            CampaignSpec("a", "A", ("s",), ("1:1",), seed=given_seed, min_mask_confidence=0),
            replace(product, bbox_size=Size(3, 4)), replace(template, slug="s", categories=()),
            renderer(),
        )
        for product in (one, replace(one, product_id=7, external_id="z"), other)
        for template in (scene, scene_2)
        for given_seed in (seed, seed_2)
    ]  # fmt: skip
    for a in found:
        assert all(b.spec == a.spec for b in found if b.inputs == a.inputs)


FINGERPRINT = "0f329fce61ab2d446f5573ea8d1b7455f3c141fd7b5d94339bf7917e6e9fd105"


def test_a_plan_is_what_it_was_under_this_planner_version() -> None:
    """When this fails because planning has changed, raise PLANNER_VERSION: else later runs would
    keep what the old planning made."""
    item = planned(CAMPAIGN, PRODUCT, SCENE, renderer())
    assert (PLANNER_VERSION, item.spec.fingerprint) == ("1", FINGERPRINT)


def test_words_that_the_model_does_not_know_are_named() -> None:
    def unknown(text: str) -> tuple[str, ...]:
        return tuple(w for w in text.replace(",", "").split() if w not in ("on", "blue"))

    titled = replace(SCENE, prompt="{title}, on sand", negative_prompt="Text")
    item = planned(CAMPAIGN, PRODUCT, titled, renderer(unknown_words=unknown))
    assert item.unknown_words == ("mug", "sand", "text")
