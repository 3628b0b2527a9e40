"""A super-resolution network as a file: run whole or by windows, named by hash, or refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from adloom.errors import ModelError
from models.upscaling import network as network_module
from models.upscaling.network import UpscalingNetwork, weights_hash_of
from models.upscaling.runtimes import installed_weights
from tests.unit.upscaling.networks import write_network

PICTURE = np.random.default_rng(1).integers(0, 256, (70, 93, 3), np.uint8)


def test_by_windows_it_gives_what_it_gives_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = UpscalingNetwork.load(write_network(tmp_path / "x4.onnx", scale=4))
    whole = network(PICTURE)
    monkeypatch.setattr(network_module, "SIDE_PX", 40)
    parts = network(PICTURE)
    assert (network.scale, whole.shape, whole.dtype) == (4, (280, 372, 3), np.uint8)
    assert whole.std() > 5
    assert np.abs(whole.astype(int) - parts).max() <= 1  # sums in another order, then rounded


def test_a_network_of_one_size_alone_sees_pictures_of_any(tmp_path: Path) -> None:
    free = UpscalingNetwork.load(write_network(tmp_path / "any.onnx"))
    fixed = UpscalingNetwork.load(write_network(tmp_path / "fixed.onnx", size=(48, 48)))
    inside = np.s_[: 2 * 60, : 2 * 80]  # beyond, it sees the edge go on where the other sees none
    apart = np.abs(fixed(PICTURE).astype(int) - free(PICTURE))
    assert apart[inside].max() <= 1
    small = PICTURE[:20, :30]
    assert fixed(small).shape == (40, 60, 3)
    assert np.abs(fixed(small).astype(int) - free(small))[: 2 * 17, : 2 * 27].max() <= 1


def test_other_weights_have_another_hash(tmp_path: Path) -> None:
    one = write_network(tmp_path / "one.onnx")
    other = write_network(tmp_path / "other.onnx", seed=1)
    assert UpscalingNetwork.load(one).weights_hash == weights_hash_of(one)
    assert weights_hash_of(one) != weights_hash_of(other)
    renamed = write_network(tmp_path / "renamed.onnx")
    assert weights_hash_of(renamed) == weights_hash_of(one)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scale": 1}, "k of 2 or more"),
        ({"channels": 1}, "one RGB input"),
        ({"gain": 200.0}, r"values are in \[0, 1\]"),
        ({"size": (32, 64)}, "for any size, or for a square"),
    ],
)
def test_a_network_of_another_kind_is_refused(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    file = write_network(tmp_path / "x.onnx", **changed)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError, match=said) as caught:
        UpscalingNetwork.load(file)
    assert str(file) in str(caught.value)


def test_what_is_no_network_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: there is no such file"):
        UpscalingNetwork.load(tmp_path / "gone.onnx")
    (tmp_path / "x.pth").write_bytes(b"")
    with pytest.raises(ModelError, match=r"'\.pth' is no network"):
        UpscalingNetwork.load(tmp_path / "x.pth")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match=r"text\.onnx: this is no model"):
        UpscalingNetwork.load(tmp_path / "text.onnx")
    (tmp_path / "alone.param").write_text("7767517\n")
    with pytest.raises(ModelError, match=r"alone\.bin: there is no such file"):
        UpscalingNetwork.load(tmp_path / "alone.param")


def test_ncnn_files_are_run_as_well(tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    file = tmp_path / "double.param"
    file.write_text("7767517\n2 2\nInput in 0 1 data\nInterp up 1 1 data out 0=1 1=2.0 2=2.0\n")
    file.with_suffix(".bin").write_bytes(b"")
    network = UpscalingNetwork.load(file)
    doubled = np.repeat(np.repeat(PICTURE, 2, axis=0), 2, axis=1)
    assert np.array_equal(network(PICTURE), doubled)
    digests = [hashlib.sha256(f.read_bytes()).hexdigest() for f in (file, tmp_path / "double.bin")]
    assert network.weights_hash == hashlib.sha256("\n".join(digests).encode()).hexdigest()


def test_the_installed_real_esrgan_sharpens_an_edge() -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    try:
        installed_weights()
    except ModelError as error:
        pytest.skip(str(error))
    soft = np.clip(np.arange(-12, 12)[None, :, None] * 12 + 128, 30, 220).astype(np.uint8)
    edge = np.repeat(np.repeat(soft, 24, axis=0), 3, axis=2)
    made = UpscalingNetwork.load()(edge)
    assert made.shape == (96, 96, 3)
    assert abs(float(made.mean()) - float(edge.mean())) < 8
    assert np.abs(np.diff(made[48, :, 0].astype(int))).max() > 12 / 4 * 2
