"""Super-resolution networks of one convolution, as ONNX files."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

REACH_PX = 2


def write_network(
    file: Path,
    *,
    scale: int = 2,
    seed: int = 0,
    size: tuple[int | str, int | str] = ("h", "w"),
    channels: int = 3,
    gain: float = 1.0,
) -> Path:
    """(1, C, h, w) -> (1, C, scale h, scale w): a 5x5 convolution that keeps the mean, times
    `gain`, to the channels that a depth-to-space spreads over the larger picture."""
    weight = np.random.default_rng(seed).random((channels * scale**2, channels, 5, 5), np.float32)
    weight *= gain / weight.sum(axis=(1, 2, 3), keepdims=True)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "weight"], ["wide"], pads=[REACH_PX] * 4),
            helper.make_node("DepthToSpace", ["wide"], ["y"], blocksize=scale, mode="CRD"),
        ],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, *size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, None, None])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, file)
    return file
