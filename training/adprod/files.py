"""Files that are there whole or not at all."""

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TEMPORARY = ".part"


def write_atomically(path: Path, data: bytes) -> None:
    """Two processes may write the same file at once: the last one whole stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """(H, W, 3) or (H, W); the same pixels, the same bytes."""
    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(held, "PNG", compress_level=4)
    write_atomically(path, held.getvalue())


def write_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    """(H, W) uint8, as .npy."""
    held = io.BytesIO()
    np.save(held, mask, allow_pickle=False)
    write_atomically(path, held.getvalue())


def remove_unfinished(folder: Path) -> int:
    """Removes what a killed writer left; how many files that were."""
    left = list(folder.rglob(f"*{TEMPORARY}"))
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
