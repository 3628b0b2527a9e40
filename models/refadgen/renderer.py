"""The border between RefAdGen and the rest of adloom: numpy pictures in, numpy pictures out."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from adloom.errors import ModelError, OutOfMemoryError
from adloom.render_spec import EXACT, Shortcuts
from models.refadgen.acceleration import NONE, Acceleration, check_acceleration
from models.refadgen.checks import refuse
from models.refadgen.dtypes import check_device, dtype_named
from models.refadgen.lora import Lora, fuse
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.tokens import count_tokens, unknown_words
from models.refadgen.weights import check_safetensors, weights_hash

CACHED_REFERENCES = 64

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RenderItem:
    """One picture to render.

    reference: key into the request's references; mask: (H, W) uint8 native, 255 = product;
    frame: the product frame (cx, cy, side) in native px; reference_scale: lambda.
    """

    reference: str
    prompt: str
    negative_prompt: str
    mask: Picture
    frame: tuple[float, float, float]
    seed: int
    steps: int = 20
    guidance: float = 4.0
    reference_scale: float = 1.0
    sampler: str = "ddim"
    shortcuts: Shortcuts = EXACT


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """Items of one native size, step count, guidance and lambda, rendered as one batch.

    references: product pictures uint8 on white, by a key that names their content (such as a
    sha256), since features are kept by it. For a model of the canonical frame (S, S, 3), S =
    `reference_size`; for an aligned one (H, W, 3), the product where the item's mask has it, at the
    native size. Several views of a product: (V, ...), as many for each product of a request.
    """

    references: Mapping[str, Picture]
    items: Sequence[RenderItem]


@dataclass(slots=True)
class ReferenceCache:
    """The features of the products rendered last, at most `capacity` of them."""

    capacity: int = CACHED_REFERENCES
    entries: OrderedDict[str, ReferenceFeatures] = field(default_factory=OrderedDict)

    def get(self, key: str) -> ReferenceFeatures | None:
        if key in self.entries:
            self.entries.move_to_end(key)
        return self.entries.get(key)

    def put(self, key: str, features: ReferenceFeatures) -> None:
        self.entries[key] = features
        self.entries.move_to_end(key)
        while len(self.entries) > self.capacity:
            self.entries.popitem(last=False)


class RefAdGenRenderer:
    """A loaded model. Not safe for use by several threads at once."""

    def __init__(
        self,
        pipeline: RefAdGenPipeline,
        hash_of_weights: str,
        cached_references: int,
        hash_of_files: str | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._cache = ReferenceCache(cached_references)
        self._hash = hash_of_weights
        self._files = hash_of_files or hash_of_weights

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "cpu",
        dtype: str = "float32",
        cached_references: int = CACHED_REFERENCES,
        threads: int = 0,
        acceleration: Acceleration = NONE,
        lora: Lora | None = None,
    ) -> "RefAdGenRenderer":
        """Load a diffusers-format folder; ModelError where it, the device or dtype is unusable.

        Tensors are read from `.safetensors` alone: what is loaded is what the hash is over.
        `threads`: CPU threads of this process's torch; 0 leaves them as they are. A `lora` is
        fused in and part of the weights hash.
        """
        if threads:
            torch.set_num_threads(threads)
        number_format = dtype_named(dtype)
        check_device(device)
        check_acceleration(acceleration, device)
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
        return cls(pipeline, digest, cached_references, files)

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
        """Native widths and heights are multiples of this many px."""
        return self._pipeline.native_unit

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
        """What is beyond in a prompt is not read."""
        return int(self._pipeline.tokenizer.model_max_length)

    def count_tokens(self, prompt: str) -> int:
        """Tokens of the whole prompt, start and end included; compare with `max_tokens`."""
        return count_tokens(self._pipeline.tokenizer, prompt)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Words that the text encoder has never seen."""
        return unknown_words(self._pipeline.tokenizer, prompt)

    def render(self, request: RenderRequest) -> list[Picture]:
        """One (H, W, 3) uint8 picture per item, in their order.

        RenderArgumentError names what cannot be used; OutOfMemoryError can be retried with a
        smaller request.
        """
        if not request.items:
            return []
        first = _common_parameters(request.items)
        try:
            pictures = self._pipeline.render(
                [i.prompt for i in request.items],
                [i.negative_prompt for i in request.items],
                self._references(request),
                _stacked_masks(request.items),
                torch.tensor([i.frame for i in request.items], dtype=torch.float32),
                [i.seed for i in request.items],
                steps=first.steps,
                guidance_scale=first.guidance,
                reference_scale=first.reference_scale,
                sampler=first.sampler,
                shortcuts=first.shortcuts,
            )
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"{len(request.items)} pictures at once do not fit",
                where=self.device,
                hint="render fewer at once",
            ) from error
        return list(_to_uint8(pictures))

    def _references(self, request: RenderRequest) -> ReferenceFeatures:
        """One entry per item, from the cache or encoded one product at a time."""
        keys = list(dict.fromkeys(item.reference for item in request.items))
        features = {key: self._reference(key, request.references) for key in keys}
        together = ReferenceFeatures.concatenate([features[key] for key in keys])
        return together.select([keys.index(item.reference) for item in request.items])

    def _reference(self, key: str, pictures: Mapping[str, Picture]) -> ReferenceFeatures:
        cached = self._cache.get(key)
        if cached is not None:
            return cached
        if key not in pictures:
            raise refuse("references", f"no picture for {key!r}", "add it to the request")
        picture = pictures[key]
        if (
            picture.dtype != np.uint8
            or picture.ndim not in (3, 4)
            or picture.shape[-1] != 3
            or not picture.size
        ):
            raise refuse(
                f"references[{key!r}]",
                f"{picture.dtype} of shape {picture.shape}",
                "give (H, W, 3) uint8, or (V, H, W, 3) for several views",
            )
        if picture.ndim == 3:
            features = self._pipeline.encode_references(_unit_picture(picture))
        else:
            views = torch.cat([_unit_picture(view) for view in picture])
            features = self._pipeline.encode_views(views)
        self._cache.put(key, features)
        return features


def _common_parameters(items: Sequence[RenderItem]) -> RenderItem:
    """The first item, whose parameters all others must share."""
    first = items[0]
    for name in ("steps", "guidance", "reference_scale", "sampler", "shortcuts"):
        values = {getattr(item, name) for item in items}
        if len(values) > 1:
            raise refuse(f"items[].{name}", f"{sorted(values, key=str)}", "one value per request")
    return first


def _stacked_masks(items: Sequence[RenderItem]) -> torch.Tensor:
    """(B, 1, H, W) in [0, 1]."""
    shapes = {item.mask.shape for item in items}
    if len(shapes) > 1:
        raise refuse("items[].mask", f"sizes {sorted(shapes)}", "one native size per request")
    if items[0].mask.ndim != 2 or any(item.mask.dtype != np.uint8 for item in items):
        raise refuse("items[].mask", f"shape {items[0].mask.shape}", "give (H, W) uint8")
    return torch.from_numpy(np.stack([item.mask for item in items]))[:, None].float() / 255


def _unit_picture(picture: Picture) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


def _to_uint8(pictures: torch.Tensor) -> NDArray[np.uint8]:
    """(B, 3, H, W) in [0, 1] -> (B, H, W, 3)."""
    scaled = (pictures.float() * 255).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).cpu().numpy()
