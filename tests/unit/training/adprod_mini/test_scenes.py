"""Enough scenes that can be told apart, and combinations that training never sees."""

import numpy as np
import pytest

from adloom.errors import ModelError
from training.adprod_mini.scenes import Split, draw_scene, is_heldout, split_named


def test_held_out_combinations_are_on_one_side_alone() -> None:
    rng = np.random.default_rng(0)
    trained = [draw_scene(rng, Split.TRAIN) for _ in range(400)]
    held = [draw_scene(rng, Split.HELDOUT_SCENES) for _ in range(100)]
    assert not any(is_heldout(s) for s in trained)
    assert all(is_heldout(s) for s in held)
    assert len({(s.surface, s.light, s.prop) for s in held}) > 30
    assert len({(s.surface, s.light) for s in trained}) >= 40


def test_what_is_held_out_is_known_by_its_parts() -> None:
    """Each of its parts is trained on; only their meeting is new."""
    rng = np.random.default_rng(1)
    trained = [draw_scene(rng, Split.TRAIN) for _ in range(3000)]
    for part in ("surface", "light", "prop"):
        known = {getattr(s, part) for s in trained}
        held = {getattr(draw_scene(rng, Split.HELDOUT_SCENES), part) for _ in range(200)}
        assert held <= known


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ModelError, match="heldout-families"):
        split_named("validation")
