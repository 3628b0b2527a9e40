"""The border between RefAdGen and the rest of adloom: numpy pictures in, numpy pictures out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from adloom.errors import ModelError, OutOfMemoryError
from models.device import device_errors, keep_freed_memory
from models.refadgen.acceleration import NONE, Acceleration, check_acceleration
from models.refadgen.caches import MB
from models.refadgen.checks import refuse
from models.refadgen.dtypes import check_device, dtype_named
from models.refadgen.engine import BatchEngine
from models.refadgen.lora import Lora, fuse
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.refining import RefineRequest, does_not_fit, refined
from models.refadgen.render_items import Picture, RenderItem
from models.refadgen.weights import check_safetensors, weights_hash

CPU_CACHE_MB = 256
CUDA_CACHE_SHARE = 0.1

__all__ = ["RefAdGenRenderer", "RenderItem", "RenderRequest"]


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """Items of one native size, step count, guidance and lambda, rendered as one micro-batch.

    references: the product pictures by their keys, see `cached_features.References`.
    """

    references: Mapping[str, Picture]
    items: Sequence[RenderItem]


class RefAdGenRenderer:
    """A loaded model and its batch engine, which one thread may use at a time; a second pass may
    come from another (`BatchEngine.in_use`)."""

    def __init__(
        self,
        pipeline: RefAdGenPipeline,
        hash_of_weights: str,
        reference_bytes: int,
        hash_of_files: str | None = None,
    ) -> None:
        self.engine = BatchEngine(pipeline, reference_bytes)
        self._pipeline = pipeline
        self._hash = hash_of_weights
        self._files = hash_of_files or hash_of_weights

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "cpu",
        dtype: str = "float32",
        reference_cache_mb: int | None = None,
        threads: int = 0,
        acceleration: Acceleration = NONE,
        lora: Lora | None = None,
    ) -> "RefAdGenRenderer":
        """Load a diffusers-format folder; ModelError where it, the device or dtype is unusable.

        Tensors are read from `.safetensors` alone: what is loaded is what the hash is over.
        On a CPU the process keeps freed memory from then on (`models.device`).
        `reference_cache_mb`: the bound of the cache of reference features; None: a tenth of a CUDA
        device's memory, 256 on a CPU. `threads`: CPU threads of this process's torch; 0 leaves
        them as they are. A `lora` is fused in and part of the weights hash.
        """
        if threads:
            torch.set_num_threads(threads)
        number_format = dtype_named(dtype)
        check_device(device)
        check_acceleration(acceleration, device)
        if device == "cpu":
            keep_freed_memory()
        digest = weights_hash(Path(path))
        check_safetensors(Path(path))
        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        try:
            pipeline = RefAdGenPipeline.from_pretrained(
                str(path), dtype=number_format, local_files_only=True, use_safetensors=True
            ).to(device)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"cannot be loaded: {error}", where=str(path), hint="is the folder complete?"
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        files = digest
        if lora is not None:
            digest = lora.identity(files)
            fuse(pipeline.unet, lora)
        pipeline.accelerate(acceleration)
        return cls(pipeline, digest, _cache_bytes(device, reference_cache_mb), files)

    @property
    def weights_hash(self) -> str:
        """sha256 over the component files and the LoRA: part of every fingerprint."""
        return self._hash

    @property
    def files_hash(self) -> str:
        """sha256 over the folder's component files, which its bill of materials states."""
        return self._files

    @property
    def dtype(self) -> str:
        return str(self._pipeline.unet.dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        return str(self._pipeline.device)

    @property
    def native_unit(self) -> int:
        """Formats' native widths and heights are multiples of this many px."""
        return self._pipeline.format_unit

    @property
    def reference_size(self) -> int:
        """Side of the reference pictures, px."""
        return self._pipeline.reference_size

    @property
    def reference_frame(self) -> str:
        """`canonical` or `aligned`: how reference pictures show the product."""
        return self._pipeline.reference_frame

    @property
    def max_tokens(self) -> int:
        """What the text encoder reads of a prompt; a longer one is refused."""
        return self._pipeline.text_encoders.max_tokens

    def count_tokens(self, prompt: str) -> int:
        """Tokens of the whole prompt, start and end included; compare with `max_tokens`."""
        return self._pipeline.text_encoders.count_tokens(prompt)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Words that the text encoder has never seen."""
        return self._pipeline.text_encoders.unknown_words(prompt)

    def render(self, request: RenderRequest) -> list[Picture]:
        """One (H, W, 3) uint8 picture per item, in their order; see `BatchEngine.at_once`, and
        `engine.render` for any number of items.

        RenderArgumentError names what cannot be used; OutOfMemoryError can be retried with a
        smaller request.
        """

        def picture(key: str) -> Picture:
            if key not in request.references:
                raise refuse("references", f"no picture for {key!r}", "add it to the request")
            return request.references[key]

        return self.engine.at_once(request.items, picture)

    def refine(self, request: RefineRequest) -> Picture:
        """(H, W, 3), an enlarged render with its background drawn again: see `refining.refined`.

        It may be called beside the thread that renders, and waits for the micro-batch at work.
        DeviceError where the device failed.
        """
        features, device = self.engine.features, self._pipeline.device

        def too_large() -> OutOfMemoryError:
            height, width = request.picture.shape[:2]
            return does_not_fit(self._pipeline, f"{width}x{height} px")

        with device_errors(device, too_large), self.engine.in_use, torch.no_grad():
            negative = request.negative_prompt or None
            texts = (
                features.of_prompts([request.prompt], "prompt"),
                features.of_prompts([negative], "negative_prompt"),
            )
            return refined(
                self._pipeline,
                request,
                texts,
                lambda: features.of_references(
                    [request.reference_key], lambda _: request.reference
                ),
            )


def _cache_bytes(device: str, given_mb: int | None) -> int:
    if given_mb is not None:
        return given_mb * MB
    if torch.device(device).type == "cuda":
        _, total_bytes = torch.cuda.mem_get_info(torch.device(device))
        return int(CUDA_CACHE_SHARE * total_bytes)
    return CPU_CACHE_MB * MB
