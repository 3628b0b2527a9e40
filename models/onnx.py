"""ONNX files as sessions."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from adloom.errors import ModelError


def open_session(
    weights: Path, threads: int, providers: Sequence[str] = ("CPUExecutionProvider",)
) -> tuple[ort.InferenceSession, str]:
    """A model file's session of so many threads, and the sha256 of the file. Raises ModelError."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads must not burn the cores that rendering needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        data = weights.read_bytes()
        session = ort.InferenceSession(data, options, providers=list(providers))
    except OSError as error:
        raise ModelError(
            f"the weights cannot be read: {error.strerror}", where=str(weights)
        ) from error
    except Exception as error:  # onnxruntime's errors share no other base class
        raise ModelError(f"this is no model: {error}", where=str(weights)) from error
    return session, hashlib.sha256(data).hexdigest()
