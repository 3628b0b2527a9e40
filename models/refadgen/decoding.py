"""Latents -> pictures in parts that fit the device."""

from collections.abc import Callable

import torch
from torch import Tensor

from models.refadgen.microbatches import FittingSizes
from models.refadgen.render_items import Picture, check_finite, to_pictures


class PartwiseDecoder:
    """Decodes a batch at once, or by halves where that does not fit; latents are never lost.

    decode: scaled latents (B, C, h, w) -> (B, 3, H, W) in [0, 1], each sample by itself, so that a
    picture is the same in every part. on_out_of_memory: told the size that failed and the next one;
    a size of 1 that failed is followed by 0, and tried once more after the call.
    """

    def __init__(
        self, decode: Callable[[Tensor], Tensor], on_out_of_memory: Callable[[int, int], None]
    ) -> None:
        self.sizes = FittingSizes()
        self._decode = decode
        self._out_of_memory = on_out_of_memory

    def pictures(self, latents: Tensor) -> list[Picture | None]:
        """(H, W, 3) each; None where one does not fit even alone. RenderError where one became
        NaN or infinite in the decoder."""
        size_px = tuple(latents.shape[-2:])
        made: list[Picture | None] = []
        while len(made) < len(latents):
            rest = latents[len(made) :]
            size = self.sizes.at_most(size_px, len(rest))
            part = self._at_once(rest[:size])
            if part is None and size > 1:
                self._out_of_memory(size, self.sizes.did_not_fit(size_px, size))
            elif part is None:
                self._out_of_memory(1, 0)
                made += self._at_once(rest[:1]) or [None]
            else:
                made += part
        return made

    def _at_once(self, latents: Tensor) -> list[Picture] | None:
        """None: out of memory. The error, and the tensors in its frames, end with this call."""
        try:
            decoded = self._decode(latents)
            check_finite(decoded)
            return to_pictures(decoded)
        except torch.OutOfMemoryError:
            return None
