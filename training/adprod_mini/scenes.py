"""Which scenes there are, and which combinations of their parts are kept for held-out tests."""

import hashlib
from enum import StrEnum

import numpy as np

from adloom.errors import ModelError
from training.scenes_synth.grammar import SceneChoice, choose_scene

HELDOUT_OF_256 = 26
"""So many of 256 combinations of surface, light and props are never trained on: a tenth."""


class Split(StrEnum):
    """What a sample may show. `heldout-families`: other products, in scenes of the training;
    `heldout-scenes`: its products, in combinations it never saw."""

    TRAIN = "train"
    HELDOUT_FAMILIES = "heldout-families"
    HELDOUT_SCENES = "heldout-scenes"


def is_heldout(scene: SceneChoice) -> bool:
    """Whether the scene's surface, light and props are one of the combinations kept back."""
    key = f"{scene.surface}|{scene.light}|{scene.prop}".encode()
    return hashlib.sha256(key).digest()[0] < HELDOUT_OF_256


def draw_scene(rng: np.random.Generator, split: Split) -> SceneChoice:
    """A scene that the split may show."""
    while True:
        scene = choose_scene(rng)
        if is_heldout(scene) == (split is Split.HELDOUT_SCENES):
            return scene


def split_named(name: str) -> Split:
    """ModelError names those that there are."""
    try:
        return Split(name)
    except ValueError as error:
        raise ModelError(f"no split {name!r}", hint=", ".join(Split)) from error
