"""The shipped scene pack speaks the language that the model was trained in."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.scenes_synth import CAPTION_WORDS
from training.scenes_synth.backdrops import BACKDROPS
from training.scenes_synth.grammar import TINTS
from training.scenes_synth.lighting import LIGHTS
from training.scenes_synth.products import CATEGORY_WORDS
from training.scenes_synth.surfaces import SURFACES

PACK_PATH = Path(__file__).parents[3] / "scenes" / "core.yaml"
PACK: dict[str, Any] = yaml.safe_load(PACK_PATH.read_text(encoding="utf-8"))
TEMPLATES: list[dict[str, Any]] = PACK["templates"]
PLACEHOLDERS = {"title", "category", "brand", "colours"}


def _prompt_words(text: str) -> list[str]:
    return re.sub(r"\{\w+\}", " ", text).replace(",", " ").split()


def test_pack_has_enough_scenes_with_unique_slugs() -> None:
    slugs = [t["slug"] for t in TEMPLATES]
    assert len(slugs) >= 14
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z0-9-]+", slug) for slug in slugs)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t["slug"])
def test_words_are_in_the_training_vocabulary(template: dict[str, Any]) -> None:
    for text in (template["prompt"], template["negative_prompt"]):
        assert set(_prompt_words(text)) <= CAPTION_WORDS
    assert set(re.findall(r"\{(\w+)\}", template["prompt"])) <= PLACEHOLDERS
    assert set(template["categories"]) <= CAPTION_WORDS


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t["slug"])
def test_prompt_is_made_of_training_phrases(template: dict[str, Any]) -> None:
    head, *parts = template["prompt"].split(", ")
    surface = head.removeprefix("a {colours} {category} on ")
    tinted = [*TINTS, ""]
    surfaces = {p.format(colour=c) for s in SURFACES.values() for p in s.phrases for c in tinted}
    backdrops = {p.format(colour=c) for b in BACKDROPS.values() for p in b.phrases for c in tinted}
    lights = {phrase for kind in LIGHTS.values() for phrase in kind.phrases}
    assert surface in surfaces
    assert sum(part in backdrops for part in parts) == 1
    assert sum(part in lights for part in parts) == 1


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t["slug"])
def test_placement_keeps_the_product_inside(template: dict[str, Any]) -> None:
    place = template["placement"]
    assert set(place) == {"anchor", "center_x", "baseline_y", "height", "max_width"}
    assert place["anchor"] == "bottom"
    assert 0 < place["height"] < place["baseline_y"] < 1
    assert place["max_width"] / 2 <= min(place["center_x"], 1 - place["center_x"])


def test_vocabulary_is_plain_lower_case_words() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+", word) for word in CAPTION_WORDS)
    assert set(CATEGORY_WORDS) <= CAPTION_WORDS
    assert 200 < len(CAPTION_WORDS) < 800
