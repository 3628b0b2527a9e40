"""A campaign against what is stored: scenes and their samplers."""

from dataclasses import replace
from pathlib import Path

from adloom.render_spec import Sampler
from adloom.scenes import ScenePack
from db.queries import scenes
from storage.local import LocalStore
from tasks.campaigns import unknown_names
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign, scene


def test_a_campaign_with_more_steps_than_a_scenes_sampler_knows_is_refused(
    world: World, tmp_path: Path
) -> None:
    rendering = Rendering(tmp_path)
    env = Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")
    quick = replace(scene("quick"), sampler=Sampler("lcm", steps=4))
    with world.database.transaction() as tx:
        scenes.upsert_pack(tx, world.ws, ScenePack("quick", 1, (quick,)))
        spec = replace(campaign(steps=50), scenes=("beach", "quick"))
        assert list(unknown_names(tx, env, spec)) == []
        ((path, said),) = unknown_names(tx, env, replace(spec, steps=51))
    assert path == ("steps",)
    assert said.startswith("lcm takes at most 50 steps, not 51")
    assert "'quick'" in said
