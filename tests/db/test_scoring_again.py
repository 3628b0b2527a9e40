"""A changed scorer scores the stored pictures again; nothing is finished twice for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy import text

from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import encode
from adloom.records import FinishWork, Rendition, RunLease
from db.queries import renditions, scores
from models.scoring.identity import IdentityNetwork
from models.scoring.safety import SafetyClassifier
from models.scoring.scorer import Scorer
from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tasks.finishing import Finisher
from tests.db.drawn import drawn_run
from tests.db.world import World, campaign

FAILURES = text(
    "SELECT error_class, error_retryable FROM finishing_failure WHERE render_id = :render"
)


@pytest.fixture
def env(world: World, tmp_path: Path) -> Environment:
    rendering = Rendering(weights_root=tmp_path, threads=1)
    return Environment(world.database, LocalStore(tmp_path), "w", world.ws, rendering, "me")


@pytest.fixture
def finisher(env: Environment) -> Finisher:
    return Finisher.of(env)


@pytest.fixture
def held(world: World, env: Environment) -> RunLease:
    return drawn_run(world, env.store, campaign(formats=("1:1",)))


def unfinished(world: World, run_id: int, scorer: Scorer) -> tuple[FinishWork, ...]:
    with world.database.transaction() as tx:
        return renditions.unfinished(tx, run_id, scorer_revision=scorer.revision).work


def rendition_of(world: World, work: FinishWork) -> Rendition:
    with world.database.transaction() as tx:
        found = renditions.get(tx, work.render_id, work.finishing.finish_hash)
    assert found is not None
    return found


def changed(scorer: Scorer) -> Scorer:
    """The same networks under another revision, as a new version of the scorer has it."""
    other = Scorer.load(threads=1)
    other.revision = f"2-{scorer.revision}"
    return other


def scores_of(world: World, work: FinishWork, scorer: Scorer) -> dict[str, float]:
    with world.database.transaction() as tx:
        found = scores.of(tx, [work.render_id], revision=scorer.revision)[work.render_id]
    return {**found[None], **found[work.finishing.finish_hash]}


def test_a_changed_scorer_scores_the_stored_bytes_and_finishes_nothing_again(
    world: World, env: Environment, finisher: Finisher, held: RunLease
) -> None:
    (work,) = unfinished(world, held.run_id, finisher.scorer)
    finisher.finish_stored(work, lease=held)
    assert unfinished(world, held.run_id, finisher.scorer) == ()
    made, first = rendition_of(world, work), scores_of(world, work, finisher.scorer)

    later = replace(finisher, scorer=changed(finisher.scorer))
    (again,) = unfinished(world, held.run_id, later.scorer)
    assert (again.rendition, again.model_scored, again.final_scored) == (made, False, False)
    later.finish_stored(again, lease=held)

    assert unfinished(world, held.run_id, later.scorer) == ()
    assert rendition_of(world, work) == made
    assert [o.key for o in env.store.list("w/renditions/")] == [made.object_key]
    second = scores_of(world, work, later.scorer)
    assert second == pytest.approx(first, abs=1e-5)


def test_what_is_scored_is_the_stored_file_whatever_finishing_would_make_now(
    world: World, env: Environment, finisher: Finisher, held: RunLease
) -> None:
    (work,) = unfinished(world, held.run_id, finisher.scorer)
    finisher.finish_stored(work, lease=held)
    sharp = scores_of(world, work, finisher.scorer)["final.sharpness"]
    grey = encode(np.full((1080, 1080, 3), 128, np.uint8), ImageFormat.WEBP)
    env.store.put("w/renditions/grey", grey, content_type="image/webp")
    with world.database.transaction() as tx:
        other = replace(rendition_of(world, work), object_key="w/renditions/grey")
        renditions.put(tx, world.ws, other, lease=held)

    later = replace(finisher, scorer=changed(finisher.scorer))
    (again,) = unfinished(world, held.run_id, later.scorer)
    later.finish_stored(again, lease=held)

    assert rendition_of(world, work) == other
    assert sharp > 0.01 > scores_of(world, work, later.scorer)["final.sharpness"]


def test_a_finished_file_that_is_gone_is_made_again_from_the_render(
    world: World, env: Environment, finisher: Finisher, held: RunLease
) -> None:
    (work,) = unfinished(world, held.run_id, finisher.scorer)
    finisher.finish_stored(work, lease=held)
    made = rendition_of(world, work)
    env.store.delete(made.object_key)

    later = replace(finisher, scorer=changed(finisher.scorer))
    later.finish_stored(unfinished(world, held.run_id, later.scorer)[0], lease=held)

    assert rendition_of(world, work) == made
    assert env.store.exists(made.object_key)


def test_a_picture_that_does_not_fit_the_device_is_recorded_and_stops_no_other(
    world: World, finisher: Finisher, held: RunLease
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    (work,) = unfinished(world, held.run_id, finisher.scorer)
    network = IdentityNetwork()
    network.register_forward_pre_hook(full)
    small = replace(finisher, scorer=Scorer(network, SafetyClassifier(1)))
    small.finish_stored(work, lease=held)
    with world.database.transaction() as tx:
        failures = tx.execute(FAILURES, {"render": work.render_id}).all()
    assert [tuple(f) for f in failures] == [("OutOfMemoryError", True)]
