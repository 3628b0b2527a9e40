import json
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from adloom.geometry import Box, Size
from adloom.render_spec import RenderSpec, Sampler, Shortcuts, seed_for
from tests.unit.core.strategies import specs


def _changed(value: object) -> object:
    match value:
        case Box():
            return replace(value, x=value.x + 1)
        case Size():
            return replace(value, width=value.width + 1)
        case Sampler():
            return replace(value, reference_scale=value.reference_scale + 0.25)
        case str():
            return value + "x"
        case int():
            return value + 1
    raise TypeError(type(value))


@given(specs, st.sampled_from([f.name for f in fields(RenderSpec)]))
def test_the_fingerprint_changes_with_every_field(spec: RenderSpec, name: str) -> None:
    other = replace(spec, **{name: _changed(getattr(spec, name))})
    assert other.fingerprint != spec.fingerprint


@given(specs, specs)
def test_equal_specs_have_equal_fingerprints_and_only_they(a: RenderSpec, b: RenderSpec) -> None:
    assert (a == b) == (a.fingerprint == b.fingerprint)


@given(specs)
def test_a_spec_survives_json_with_its_fingerprint(spec: RenderSpec) -> None:
    again = RenderSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.fingerprint == spec.fingerprint


def test_the_fingerprint_is_the_same_in_every_release() -> None:
    spec = RenderSpec(
        "a" * 64, "b" * 64, "a mug", "text", Box(1, 2, 3, 4), Size(128, 160), Sampler(), 7,
        "c" * 64, "float32", "1",
    )  # fmt: skip
    assert spec.fingerprint == ("fb6f963e1beff31eb6314d11a9574cb16bc3b3008c4eed4bed4ce68e68bea3c0")


@given(specs, st.sampled_from([f.name for f in fields(Shortcuts)]))
def test_each_shortcut_changes_the_fingerprint(spec: RenderSpec, name: str) -> None:
    taken = getattr(spec.sampler.shortcuts, name)
    other = not taken if isinstance(taken, bool) else taken + 1
    shortcuts = replace(spec.sampler.shortcuts, **{name: other})
    changed = replace(spec, sampler=replace(spec.sampler, shortcuts=shortcuts))
    assert changed.fingerprint != spec.fingerprint


def test_shortcuts_that_are_off_are_no_part_of_a_recipe() -> None:
    assert Sampler().to_json().keys() == {"name", "steps", "guidance", "reference_scale"}
    one = Sampler(shortcuts=Shortcuts(reuse_every=2))
    assert one.to_json()["shortcuts"] == {"reuse_every": 2}


def test_seeds_depend_on_photo_scene_format_variant_and_draw() -> None:
    base = ("p", "s", "1:1", 0, 0)
    others = [
        ("q", "s", "1:1", 0, 0),
        ("p", "t", "1:1", 0, 0),
        ("p", "s", "4:5", 0, 0),
        ("p", "s", "1:1", 1, 0),
        ("p", "s", "1:1", 0, 1),
    ]
    seeds = {seed_for(*base), *(seed_for(*o) for o in others), seed_for(*base, campaign_seed=1)}
    assert len(seeds) == 7
    assert all(0 <= s < 2**63 for s in seeds)
    assert seed_for(*base) == seed_for(*base)


@given(specs)
def test_the_canonical_json_is_what_json_makes_of_the_fields(spec: RenderSpec) -> None:
    plain = json.dumps(spec.to_json(), sort_keys=True, separators=(",", ":"))
    assert spec.canonical_json == plain
    assert {f.name for f in fields(RenderSpec)} == set(json.loads(spec.canonical_json))
