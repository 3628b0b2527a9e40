"""RenderSpecs as the batch engine takes them: items and reference pictures, made when asked for."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adloom.imaging.canonical import aligned_picture, canonical_picture
from adloom.imaging.warp import placed_mask
from adloom.render_spec import RenderSpec
from tasks.pictures import ProductPicture, ProductPictures
from tasks.resident import checked

if TYPE_CHECKING:
    from models.refadgen.renderer import RefAdGenRenderer, RenderItem


class SpecItems:
    """Items of specs for one renderer, and the reference pictures that they name.

    `item` may be called ahead, in another thread than `reference`.
    """

    def __init__(self, renderer: "RefAdGenRenderer", pictures: ProductPictures) -> None:
        self._renderer = renderer
        self._pictures = pictures
        self._specs: dict[str, RenderSpec] = {}

    def item(self, name: str, spec: RenderSpec) -> "RenderItem":
        """Raises ModelError if the spec was planned with other weights, ObjectMissingError when its
        photo or mask is gone."""
        from models.refadgen.render_items import RenderItem  # imports torch

        checked(self._renderer, spec)
        product = self._product(spec)
        reference = reference_key(spec, self._renderer.reference_frame)
        self._specs.setdefault(reference, spec)
        return RenderItem(
            reference=reference,
            prompt=spec.prompt,
            negative_prompt=spec.negative_prompt,
            mask=placed_mask(product.mask, product.bbox, spec.product_box, spec.native),
            frame=spec.product_box.product_frame,
            seed=spec.seed,
            steps=spec.sampler.steps,
            guidance=spec.sampler.guidance,
            reference_scale=spec.sampler.reference_scale,
            name=name,
            sampler=spec.sampler.name,
            shortcuts=spec.sampler.shortcuts,
        )

    def reference(self, key: str) -> NDArray[np.uint8]:
        """The picture of a reference that an item made here names."""
        spec = self._specs[key]
        renderer = self._renderer
        return reference_picture(
            spec, self._product(spec), renderer.reference_frame, renderer.reference_size
        )

    def _product(self, spec: RenderSpec) -> ProductPicture:
        return self._pictures.get(spec.photo_sha256, spec.mask_sha256)


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
