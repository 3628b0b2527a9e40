"""What a dry run says."""

from pathlib import Path

import pytest

from adloom.campaign_yaml import campaign_yaml
from adloom.errors import SpecError
from db.queries import campaigns
from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tasks.estimates import estimate_file, estimate_of
from tests.db.world import World, campaign
from tests.unit.refadgen.conftest import small_pipeline


def test_words_that_the_model_does_not_know_are_said_once_per_scene(
    world: World, tmp_path: Path
) -> None:
    small_pipeline().save_pretrained(tmp_path / "tiny")
    rendering = Rendering(tmp_path, allow_noncommercial_weights=True)
    env = Environment(world.database, LocalStore(tmp_path), world.slug, world.ws, rendering, "me")
    warnings = estimate_of(env, campaign(model="tiny")).warnings
    assert len(warnings) == 2
    for scene, warning in zip(("beach", "desk"), warnings, strict=True):
        assert warning.startswith(f"scene '{scene}': the model does not know 'photo', 'of', ")
        assert "'blurry'" in warning
        assert "'table'" not in warning


def test_a_file_is_planned_as_if_it_were_applied_and_nothing_is_stored(
    world: World, tmp_path: Path
) -> None:
    small_pipeline().save_pretrained(tmp_path / "tiny")
    rendering = Rendering(tmp_path, allow_noncommercial_weights=True)
    env = Environment(world.database, LocalStore(tmp_path), world.slug, world.ws, rendering, "me")
    file = tmp_path / "spring.yaml"
    file.write_text(campaign_yaml(campaign(model="tiny")))
    found = estimate_file(env, file)
    assert (found.products, found.slots, found.to_render) == (3, 12, 12)
    with world.database.transaction() as tx:
        assert campaigns.slugs(tx, world.ws) == ()
    file.write_text("campaign: spring\nscenes: [beech]\nformats: ['1:1']\nmodel: tiny\n")
    with pytest.raises(SpecError, match=r"line 2: scenes\[0\].*beach"):
        estimate_file(env, file)
