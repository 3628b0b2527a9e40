from dataclasses import replace
from pathlib import Path

import pytest

from adloom.errors import SceneError
from adloom.scenes import parse_scene_pack

PACK = Path(__file__).parents[3] / "scenes" / "core.yaml"

GOOD = """\
pack: p
version: 1
templates:
  - {slug: a, version: 1, title: A, prompt: "a {category} on sand"}
"""


def test_the_shipped_pack_has_at_least_twelve_scenes_that_suit_any_product() -> None:
    pack = parse_scene_pack(PACK.read_text(), where=str(PACK))
    assert len([t for t in pack.templates if t.suits("Anything")]) >= 12


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{category}", "{colour}", r"line 4: templates\[0\]\.prompt: unknown placeholder"),
        ("slug: a", "slug: A B", r"line 4: templates\[0\]\.slug"),
        ("version: 1, title", "version: 0, title", r"templates\[0\]\.version"),
        ("title: A", "titel: A", r"templates\[0\]\.titel"),
        (
            "title: A",
            "title: A, sampler: {name: lcm, steps: 51}",
            r"line 4: templates\[0\]\.sampler\.steps: lcm takes at most 50 steps",
        ),
        ("templates:", "templates: []\nx:", "templates"),
    ],
)
def test_a_bad_pack_is_refused_by_file_line_and_field(old: str, new: str, message: str) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        parse_scene_pack(GOOD.replace(old, new), where="pack.yaml")
    assert "pack.yaml" in str(caught.value)


def test_a_repeated_slug_is_refused() -> None:
    twice = GOOD + '  - {slug: a, version: 2, title: B, prompt: "x"}\n'
    with pytest.raises(SceneError, match="'a' occurs twice"):
        parse_scene_pack(twice, where="pack.yaml")


def test_categories_match_by_whole_words() -> None:
    scene = parse_scene_pack(GOOD, where="p").templates[0]
    shoes = replace(scene, categories=("sneakers",))
    assert shoes.suits("Apparel > Sneakers")
    assert not shoes.suits("Apparel > Sneakersocks")
    assert scene.suits("whatever")


def test_the_content_hash_covers_every_field() -> None:
    scene = parse_scene_pack(GOOD, where="p").templates[0]
    assert replace(scene, prompt="other").content_hash != scene.content_hash
    assert replace(scene).content_hash == scene.content_hash
