"""What `adloom doctor` says of a machine's weights, device and disk."""

import shutil
from pathlib import Path

import pytest

from adloom.errors import ModelError
from adloom.findings import Level
from adloom.weights_bill import BILL_FILE
from tasks.machine_checks import device, disk, weights

SHIPPED = Path(__file__).parents[3] / "weights"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED / "mini", tmp_path / "mini")
    return tmp_path


def test_the_shipped_weights_are_those_on_their_bill(root: Path) -> None:
    found = weights(root)
    assert (found.level, found.mend) == (Level.OK, "")
    assert found.detail.startswith("mini ")


def test_changed_weights_are_named_with_the_file(root: Path) -> None:
    config = root / "mini" / "unet" / "config.json"
    config.write_text(config.read_text() + "\n")
    found = weights(root)
    assert found.level is Level.FAIL
    assert "unet/config.json" in found.detail
    assert "adloom weights verify mini" in found.mend


def test_weights_without_a_bill_are_doubtful_and_no_weights_wrong(root: Path) -> None:
    (root / "mini" / BILL_FILE).unlink()
    assert weights(root).level is Level.WARN
    assert weights(root / "mini").level is Level.FAIL


def test_a_device_that_is_not_there_is_an_error_with_the_mend() -> None:
    assert device("cpu").level is Level.OK
    with pytest.raises(ModelError, match="cuda:7"):
        device("cuda:7")


def test_a_disk_is_found_by_the_folder_that_is_there(tmp_path: Path) -> None:
    found = disk(tmp_path / "not" / "yet")
    assert str(tmp_path) in found.detail
