"""What a dry run says."""

from pathlib import Path

from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tasks.planning import estimate_of
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
