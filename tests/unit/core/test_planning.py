from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from adloom.campaign import CampaignSpec
from adloom.catalog import PhotoRole
from adloom.geometry import FORMATS, Anchor, Placement, Size
from adloom.planning import PlannableProduct, PlannedItem, SkippedProduct, plan, plan_slot
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


@given(templates)
def test_what_does_not_change_pixels_changes_no_fingerprint(scene: SceneTemplate) -> None:
    campaign = CampaignSpec("a", "A", (scene.slug,), ("1:1",))
    fmt_args = (campaign, PRODUCT, scene)
    base = plan_slot(*fmt_args, FORMATS["1:1"], 0, renderer()).spec.fingerprint
    renamed = replace(scene, version=scene.version + 1, title="other", tags=("x",))
    other_campaign = replace(campaign, slug="b", title="B", gates=())
    again = plan_slot(other_campaign, PRODUCT, renamed, FORMATS["1:1"], 0, renderer())
    assert again.spec.fingerprint == base


def test_a_changed_photo_or_draw_or_weights_changes_the_fingerprint() -> None:
    scene = SceneTemplate(
        "s", 1, "S", "a {category}", "", Placement(Anchor.BOTTOM, 0.5, 0.8, 0.5, 0.8), Sampler()
    )
    campaign = CampaignSpec("a", "A", ("s",), ("1:1",))
    fmt = FORMATS["1:1"]
    prints = {
        plan_slot(campaign, PRODUCT, scene, fmt, 0, renderer()).spec.fingerprint,
        plan_slot(campaign, PRODUCT, scene, fmt, 0, renderer(), draw=1).spec.fingerprint,
        plan_slot(
            campaign, replace(PRODUCT, photo_sha256="9" * 64), scene, fmt, 0, renderer()
        ).spec.fingerprint,
        plan_slot(
            campaign, PRODUCT, scene, fmt, 0, renderer(weights_hash="0" * 64)
        ).spec.fingerprint,
    }
    assert len(prints) == 4


SCENE = SceneTemplate(
    "s", 1, "S", "{title}, on sand", "Text", Placement(Anchor.BOTTOM, 0.5, 0.8, 0.5, 0.8), Sampler()
)


def test_a_product_whose_words_fit_no_prompt_is_skipped_and_the_others_are_planned() -> None:
    def count(text: str) -> int:
        return 2 + len(text) // 4

    endless = replace(PRODUCT, product_id=2, external_id="sku-2", title="x" * 400)
    campaign = CampaignSpec("a", "A", ("s",), ("1:1", "4:5"))
    narrow = renderer(max_tokens=20, count_tokens=count)
    out = list(plan(campaign, [endless, PRODUCT], [SCENE], narrow))
    assert [type(one) for one in out] == [SkippedProduct, PlannedItem, PlannedItem]
    assert isinstance(out[0], SkippedProduct)
    assert (out[0].external_id, out[0].reason) == ("sku-2", "PROMPT_TOO_LONG")
    fitting = [one.spec for one in out if isinstance(one, PlannedItem)]
    assert all(count(s.prompt) <= 20 and count(s.negative_prompt) <= 20 for s in fitting)


def test_words_that_the_model_does_not_know_are_named() -> None:
    def unknown(text: str) -> tuple[str, ...]:
        return tuple(w for w in text.replace(",", "").split() if w not in ("on", "blue"))

    campaign = CampaignSpec("a", "A", ("s",), ("1:1",))
    planned = plan_slot(
        campaign, PRODUCT, SCENE, FORMATS["1:1"], 0, renderer(unknown_words=unknown)
    )
    assert planned.unknown_words == ("mug", "sand", "text")
    assert plan_slot(campaign, PRODUCT, SCENE, FORMATS["1:1"], 0, renderer()).unknown_words == ()
