"""The short form of `make chaos`: each kind of part is killed once, the store cut off once."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import chaos

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1200)]


def test_a_run_survives_the_deaths_of_workers_servers_and_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    tmp_path.chmod(0o755)
    verdict = chaos(
        tmp_path,
        workers=2,
        batches=8,
        seconds=4.0,
        kills=4,
        cut_s=4.0,
        seed=5,
        limit_s=1000.0,
        all_kills=False,
    )
    assert verdict.wrong == [], verdict.facts
    # A run on a busy machine may end before the last ones are due.
    assert "1 × worker" in verdict.facts["kills"]
