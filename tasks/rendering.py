"""From RenderSpecs to pictures: micro-batches that the renderer takes in one go."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adloom.errors import OutOfMemoryError
from adloom.imaging.canonical import aligned_picture, canonical_picture
from adloom.imaging.warp import placed_mask
from adloom.render_spec import RenderSpec
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest
from tasks.pictures import ProductPicture, ProductPictures
from tasks.resident import checked


@dataclass(frozen=True, slots=True)
class RawRender:
    """What the renderer made of one spec, and its share of the micro-batch's seconds."""

    spec: RenderSpec
    picture: NDArray[np.uint8]
    seconds: float


def micro_batches(specs: Sequence[RenderSpec], at_most: int) -> Iterator[list[RenderSpec]]:
    """Runs of specs that one call can render: one native size, one set of sampler parameters.

    Order is kept within a kind, so that specs cut by reference stay together.
    """
    kinds: dict[tuple[object, ...], list[RenderSpec]] = {}
    for spec in specs:
        kinds.setdefault((spec.native, spec.sampler, spec.weights_hash, spec.dtype), []).append(
            spec
        )
    for kind in kinds.values():
        for start in range(0, len(kind), at_most):
            yield kind[start : start + at_most]


def render(
    specs: Sequence[RenderSpec], renderer: RefAdGenRenderer, pictures: ProductPictures
) -> list[RawRender]:
    """Renders specs of one kind; out of memory, half as many at once are tried.

    Raises ModelError if the specs were planned with other weights, RenderError for what cannot be
    rendered, ObjectMissingError when a photo or mask is gone.
    """
    checked(renderer, specs[0])
    try:
        return _render_at_once(specs, renderer, pictures)
    except OutOfMemoryError:
        if len(specs) == 1:
            raise
        half = len(specs) // 2
        return [
            *render(specs[:half], renderer, pictures),
            *render(specs[half:], renderer, pictures),
        ]


def reference_key(spec: RenderSpec, frame: str) -> str:
    """Names what a reference picture shows: the cutout, and for an aligned one also where it
    stands on which canvas."""
    cutout = f"{spec.photo_sha256}:{spec.mask_sha256}"
    return f"{cutout}:{spec.product_box}:{spec.native}" if frame == "aligned" else cutout


def reference_picture(
    spec: RenderSpec, product: ProductPicture, frame: str, side: int
) -> NDArray[np.uint8]:
    """(side, side, 3), or (H, W, 3) of the native size for a model of the aligned frame."""
    if frame == "aligned":
        return aligned_picture(
            product.rgb, product.mask, product.bbox, spec.product_box, spec.native
        )
    return canonical_picture(product.rgb, product.mask, product.bbox, side)


def _render_at_once(
    specs: Sequence[RenderSpec], renderer: RefAdGenRenderer, pictures: ProductPictures
) -> list[RawRender]:
    references: dict[str, NDArray[np.uint8]] = {}
    items: list[RenderItem] = []
    for spec in specs:
        product = pictures.get(spec.photo_sha256, spec.mask_sha256)
        reference = reference_key(spec, renderer.reference_frame)
        if reference not in references:
            references[reference] = reference_picture(
                spec, product, renderer.reference_frame, renderer.reference_size
            )
        items.append(
            RenderItem(
                reference=reference,
                prompt=spec.prompt,
                negative_prompt=spec.negative_prompt,
                mask=placed_mask(product.mask, product.bbox, spec.product_box, spec.native),
                frame=spec.product_box.product_frame,
                seed=spec.seed,
                steps=spec.sampler.steps,
                guidance=spec.sampler.guidance,
                reference_scale=spec.sampler.reference_scale,
                sampler=spec.sampler.name,
                shortcuts=spec.sampler.shortcuts,
            )
        )
    started = time.perf_counter()
    made = renderer.render(RenderRequest(references, items))
    seconds = (time.perf_counter() - started) / len(items)
    return [RawRender(s, p, seconds) for s, p in zip(specs, made, strict=True)]
