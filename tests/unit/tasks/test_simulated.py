"""Nobody gets noise for pictures by accident."""

import json
from pathlib import Path

import numpy as np
import pytest

from adloom.errors import ConfigurationError
from tasks import resident
from tasks.environment import Rendering
from tasks.simulated import simulated_renderer
from tasks.simulated_faults import suffered


def test_a_simulation_is_refused_unless_the_settings_name_its_journal(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"noise.*ADLOOM_SIMULATION_JOURNAL"):
        resident.check_model("simulated:1", Rendering(tmp_path))
    with pytest.raises(ConfigurationError, match="noise"):
        resident.renderer("simulated:1", Rendering(tmp_path))
    resident.check_model("simulated:1", Rendering(tmp_path, simulation_journal=tmp_path / "j"))


@pytest.mark.parametrize("model", ["simulated:", "simulated:soon", "simulated:-1", "simulated:nan"])
def test_a_simulation_without_a_time_is_refused_with_an_example(model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"names no time.*simulated:0\.5"):
        simulated_renderer(model, tmp_path / "j")


def test_its_weights_hash_is_its_own(tmp_path: Path) -> None:
    hashes = {simulated_renderer(f"simulated:{s}", tmp_path / "j").weights_hash for s in (1, 2)}
    assert len(hashes) == 2


def test_a_fault_is_suffered_as_often_as_its_line_says(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    assert suffered(journal, 7) is None
    lines = [
        {"seed": 7, "fault": "out of memory", "times": 2},
        {"seed": 8, "fault": "broken", "times": 99},
    ]
    Path(f"{journal}.faults").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found: list[str | None] = []
    for _ in range(3):
        with journal.open("a") as file:
            file.write(json.dumps({"seed": 7}) + "\n" + json.dumps({"seed": 8}) + "\n")
        error = suffered(journal, 7)
        found.append(None if error is None else error.error_class)
    assert found == ["OutOfMemoryError", "OutOfMemoryError", None]
    broken = suffered(journal, 8)
    assert broken is not None
    assert not broken.retryable
    assert suffered(journal, 9) is None


def test_scores_are_made_up_in_simulations_only_and_called_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ADLOOM_SIMULATE_SCORES.*made up"):
        resident.scorer(Rendering(tmp_path, simulate_scores=True))
    allowed = Rendering(tmp_path, simulate_scores=True, simulation_journal=tmp_path / "j")
    assert resident.scorer(allowed).revision == "simulated"
    seen = resident.saliency_extractor(allowed).extract(np.zeros((4, 6, 3), np.uint8))
    assert seen.mask.shape == (4, 6)
