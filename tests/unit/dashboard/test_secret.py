"""The installation's secret, and where a dashboard may listen."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adloom.errors import ConfigurationError
from dashboard.secret import load_or_make


def test_the_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "dashboard"
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(load_or_make, [folder] * 8))
    assert len(made) == 1
    assert len(made.pop()) == 32
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    assert [p.name for p in folder.iterdir()] == ["secret"]


def test_a_damaged_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="damaged"):
        load_or_make(tmp_path)
