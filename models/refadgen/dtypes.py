"""The number formats that networks run in, by the names that settings use."""

import torch

from adloom.errors import ModelError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def dtype_named(name: str) -> torch.dtype:
    """ModelError for a name that is none."""
    if name not in DTYPES:
        raise ModelError(f"dtype {name!r}", where="dtype", hint=f"one of {', '.join(DTYPES)}")
    return DTYPES[name]
