"""Five variants of an image, all from one seed."""

import numpy as np

from tests.unit.training.augment.products import iou, striped_disc
from training.augment.variants import PER_IMAGE, VariantKind, make_variants, plan_variants


def test_there_are_five_the_first_is_the_product_itself() -> None:
    photo, mask = striped_disc()
    plans = plan_variants(np.random.default_rng(0))
    made = make_variants(photo, photo, mask, plans)
    assert [v.plan.number for v in made] == list(range(PER_IMAGE))
    assert (made[0].picture == photo).all()
    kinds = [v.plan.kind for v in made]
    assert kinds.count(VariantKind.DEGRADED) == kinds.count(VariantKind.NOVEL_VIEW) == 2
    for variant in made[1:]:
        assert (variant.picture != photo).any()
        assert iou(variant.mask, mask) > 0.8


def test_the_same_seed_gives_the_same_variants() -> None:
    photo, mask = striped_disc()
    runs = [
        make_variants(photo, photo, mask, plan_variants(np.random.default_rng(3))) for _ in range(2)
    ]
    for a, b in zip(*runs, strict=True):
        assert a.plan == b.plan
        assert (a.picture == b.picture).all()
        assert (a.mask == b.mask).all()


def test_turns_are_small_but_can_be_seen() -> None:
    for seed in range(50):
        for plan in plan_variants(np.random.default_rng(seed))[3:]:
            assert 4 <= abs(plan.turn.yaw_deg) <= 15
            assert abs(plan.turn.pitch_deg) <= 6
