"""A campaign's upscaler, from its spec to the stored rendition of a render that exists."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adloom.campaign import CampaignSpec, Finishing
from adloom.errors import ModelError
from adloom.finishing_spec import LANCZOS, Upscaler, Upscaling
from adloom.imaging.arrays import Rgb
from adloom.imaging.encode import decode
from adloom.planning import RendererIdentity
from adloom.records import RunLease
from db.queries import renditions, runs
from storage.local import LocalStore
from tasks import resident
from tasks.campaigns import with_upscaler_weights
from tasks.environment import Environment, Rendering
from tasks.finishing import finish_missing
from tests.db.drawn import drawn_run, held_run
from tests.db.world import World, campaign
from tests.unit.upscaling.networks import write_network

WEIGHTS = Path(__file__).parents[2] / "weights"
REFINE, NETWORK = Upscaling(Upscaler.REFINE, 0.5), Upscaling(Upscaler.NETWORK)


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    network = write_network(tmp_path / "x2.onnx")
    rendering = Rendering(WEIGHTS, threads=1, upscaler_weights=network, upscaler_licence="MIT")
    return Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")


@pytest.fixture
def mini(env: Environment) -> RendererIdentity:
    return resident.identity("mini", env.rendering)


def spec_of(env: Environment, upscaling: Upscaling) -> CampaignSpec:
    finishing = Finishing(detail_lock=False, upscaling=upscaling)
    spec = campaign(formats=("1:1",), steps=4, finishing=finishing)
    return with_upscaler_weights(spec, env.rendering)


def finished(world: World, env: Environment, held: RunLease) -> Rgb:
    """The rendition that a run makes of its one drawn render."""
    assert finish_missing(env, held) == 1
    with world.database.transaction() as tx:
        run = runs.get(tx, world.ws, held.run_id)
        finish_hash = run.spec.finishing_for("1:1").finish_hash
        page = renditions.unfinished(tx, held.run_id, scorer_revision="none")
    (made,) = [work.rendition for work in page.work]
    assert made is not None
    assert made.finish_hash == finish_hash
    return decode(env.store.get(made.object_key))


def test_each_upscaler_makes_another_image_of_the_same_render(
    world: World, env: Environment, mini: RendererIdentity
) -> None:
    images = [finished(world, env, drawn_run(world, env.store, spec_of(env, LANCZOS), mini))]
    for upscaling in (REFINE, NETWORK):
        reusing = held_run(world, world.run(spec_of(env, upscaling), renderer=mini))
        images.append(finished(world, env, reusing))
    assert {image.shape for image in images} == {(1080, 1080, 3)}
    lanczos, refined, by_network = (image.astype(float) for image in images)
    assert np.abs(refined - lanczos).mean() > 0.5
    assert np.abs(by_network - lanczos).mean() > 0.5
    assert np.abs(refined - by_network).mean() > 0.5


def test_a_render_of_other_weights_is_not_refined_with_these(
    world: World, env: Environment
) -> None:
    """The world's renders name weights that are not there."""
    with pytest.raises(ModelError, match="planned with weights wwww"):
        finish_missing(env, drawn_run(world, env.store, spec_of(env, REFINE)))


def test_another_network_than_the_campaigns_is_refused(
    world: World, env: Environment, tmp_path: Path
) -> None:
    held = drawn_run(world, env.store, spec_of(env, NETWORK))
    other = write_network(tmp_path / "other.onnx", seed=1)
    elsewhere = replace(env, rendering=replace(env.rendering, upscaler_weights=other))
    with pytest.raises(ModelError, match="ADLOOM_UPSCALER_WEIGHTS: the campaign was applied with"):
        finish_missing(elsewhere, held)
    assert finish_missing(env, held) == 1


def test_applying_names_the_networks_weights_and_refuses_what_is_not_there(
    env: Environment, tmp_path: Path
) -> None:
    spec = campaign(finishing=Finishing(upscaling=NETWORK))
    named = with_upscaler_weights(spec, env.rendering).finishing.upscaling
    assert named == Upscaling(
        Upscaler.NETWORK, weights=resident.upscaler(env.rendering).weights_hash
    )
    assert with_upscaler_weights(campaign(), env.rendering) == campaign()
    gone = replace(env.rendering, upscaler_weights=tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match=r"gone\.onnx: there is no such file"):
        with_upscaler_weights(spec, gone)


@pytest.mark.parametrize("licence", [None, "CC-BY-NC-4.0"])
def test_a_network_must_be_free_for_commercial_use(env: Environment, licence: str | None) -> None:
    rendering = replace(env.rendering, upscaler_licence=licence)
    with pytest.raises(ModelError, match="ADLOOM_UPSCALER_LICENCE"):
        resident.upscaler(rendering)
    allowed = replace(rendering, allow_noncommercial_weights=True)
    assert resident.upscaler(allowed).scale == 2
