"""The recipe of finishing: its hash, its JSON, its upscaler."""

import json

import pytest

from adloom.campaign import CampaignSpec
from adloom.campaign_document import parse_campaign
from adloom.errors import SpecError
from adloom.finishing_spec import (
    FINISHING_VERSION,
    FinishingSpec,
    ImageFormat,
    Upscaler,
    Upscaling,
)
from adloom.imaging.finishing import MANNERS

START = "campaign: s\nscenes: [a]\nformats: ['1:1']\n"
UPSCALINGS = (
    Upscaling(),
    Upscaling(Upscaler.REFINE, 0.25),
    Upscaling(Upscaler.REFINE, 0.3),
    Upscaling(Upscaler.NETWORK, weights="a" * 64),
    Upscaling(Upscaler.NETWORK, weights="b" * 64),
)


STORED_FIRST = {
    "canvas_width": 1080,
    "canvas_height": 1080,
    "detail_lock": True,
    "edge_px": 2.0,
    "gain_min": 0.6,
    "gain_max": 1.6,
    "chroma_shift_max": 8.0,
    "min_agreement": 0.55,
    "encoding": "webp",
    "quality": 90,
    "version": "1",
}
"""As version 1 stored it, before there was a choice of upscalers."""


def test_a_recipe_that_version_1_stored_keeps_its_hash_and_version() -> None:
    """As it was computed then: under another one its files would not be found."""
    before = FinishingSpec.from_json(STORED_FIRST)
    assert before.finish_hash == "0be2862dbe0ed5d6ef2f27313d25ae5fcbaed2837867109b46208521091b12cf"
    assert before.to_json() == STORED_FIRST
    assert before.version in MANNERS


def test_what_this_version_finishes_keeps_its_hash() -> None:
    """Another value would finish every stored render again."""
    now = "f58d650624c0d5d0e53846134c51f0703e65c6e9a34b6dd7d71c7a23309aba4b"
    assert FinishingSpec(1080, 1080).finish_hash == now
    version_2 = "907dab25343bdd5d8e12221b3beb3d0558ffbc1c55f765d02677574d86a8ef3a"
    assert FinishingSpec(1080, 1080, version="2").finish_hash == version_2
    other = FinishingSpec(1080, 1350, detail_lock=False, encoding=ImageFormat.JPEG, quality=85)
    assert "upscaling" not in other.to_json()
    assert FINISHING_VERSION in MANNERS


def test_a_campaign_that_chooses_nothing_keeps_its_hash() -> None:
    spec = parse_campaign(START, where="s.yaml")
    before = "c8dbe6f24911957ac8c16a04d713f77c1860fb69f32d7aa9bc992b07f1d6301d"
    assert spec.content_hash == before


def test_whatever_changes_pixels_changes_the_hash() -> None:
    hashes = {FinishingSpec(1080, 1080, upscaling=u).finish_hash for u in UPSCALINGS}
    assert len(hashes) == len(UPSCALINGS)


@pytest.mark.parametrize("upscaling", UPSCALINGS)
def test_a_recipe_survives_jsonb(upscaling: Upscaling) -> None:
    spec = FinishingSpec(1080, 1920, encoding=ImageFormat.PNG, upscaling=upscaling)
    assert FinishingSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("", Upscaling()),
        ("upscaler: lanczos", Upscaling()),
        ("upscaler: refine", Upscaling(Upscaler.REFINE, 0.25)),
        ("upscaler: refine, strength: 0.35", Upscaling(Upscaler.REFINE, 0.35)),
        ("upscaler: network", Upscaling(Upscaler.NETWORK)),
    ],
)
def test_a_campaign_chooses_its_upscaler(chosen: str, expected: Upscaling) -> None:
    spec = parse_campaign(f"{START}finishing: {{{chosen}}}\n", where="s.yaml")
    assert spec.finishing_for("1:1").upscaling == expected
    assert CampaignSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("chosen", "field", "said"),
    [
        ("upscaler: esrgan", "finishing.upscaler", "'lanczos', 'refine' or 'network'"),
        ("strength: 0.3", "finishing", "strength is for `upscaler: refine`, not lanczos"),
        ("upscaler: network, strength: 0.3", "finishing", "`upscaler: refine`, not network"),
        ("upscaler: refine, strength: 0", "finishing.strength", "greater than 0"),
        ("upscaler: refine, strength: 0.9", "finishing.strength", "less than or equal to 0.6"),
    ],
)
def test_an_upscaler_that_cannot_be_is_refused_by_line_and_field(
    chosen: str, field: str, said: str
) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        parse_campaign(f"{START}finishing: {{{chosen}}}\n", where="s.yaml")
    assert [(p.line, p.field) for p in caught.value.problems] == [(4, field)]
