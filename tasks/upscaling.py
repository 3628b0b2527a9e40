"""How a rendition's upscaler is put to work: which model, and what it is told of the render."""

from collections.abc import Callable
from dataclasses import dataclass

from adloom.errors import ModelError
from adloom.finishing_spec import Upscaler, Upscaling
from adloom.geometry import Box, CoverMap, Size
from adloom.imaging.arrays import Rgb
from adloom.imaging.background import upscaled
from adloom.imaging.canonical import aligned_picture
from adloom.imaging.enlarging import as_it_is, detailed
from adloom.imaging.warp import placed_mask
from adloom.render_spec import RenderSpec
from tasks import resident
from tasks.environment import Rendering
from tasks.pictures import ProductPicture
from tasks.rendering import reference_key, reference_picture

REFINED = 2
"""How many times larger the second pass draws the render: up to there a model that never saw such
a scale still keeps to the picture. What is left to the canvas is interpolated."""


@dataclass(frozen=True, slots=True)
class Upscalers:
    """The upscalers of this process. model: of the campaign, None where nothing is refined."""

    rendering: Rendering
    model: str | None

    def of(
        self, upscaling: Upscaling, spec: RenderSpec, product: ProductPicture
    ) -> Callable[[Rgb], Rgb]:
        """What enlarges this render. Raises ModelError if the weights at hand are others than
        those that it was rendered with, or that its rendition names."""
        if upscaling.upscaler is Upscaler.NETWORK:
            return self._network(upscaling)
        if upscaling.upscaler is Upscaler.REFINE:
            return self._second_pass(upscaling, spec, product)
        return as_it_is

    def _network(self, upscaling: Upscaling) -> Callable[[Rgb], Rgb]:
        network = resident.upscaler(self.rendering)
        if network.weights_hash != upscaling.weights:
            raise ModelError(
                f"the campaign was applied with the network {str(upscaling.weights)[:12]}; here is "
                f"{network.weights_hash[:12]}",
                where="ADLOOM_UPSCALER_WEIGHTS",
                hint="give this process that network, or apply the campaign's file again",
            )
        return network

    def _second_pass(
        self, upscaling: Upscaling, spec: RenderSpec, product: ProductPicture
    ) -> Callable[[Rgb], Rgb]:
        from models.refadgen.refining import RefineRequest  # imports torch and diffusers

        if self.model is None or upscaling.strength is None:
            raise ModelError("a second pass needs the campaign's model and a strength")
        renderer = resident.checked(resident.renderer(self.model, self.rendering), spec)
        box, size = _times(spec.product_box, REFINED), _size_times(spec.native, REFINED)
        mask = placed_mask(product.mask, product.bbox, box, size)
        if renderer.reference_frame == "aligned":
            reference = aligned_picture(product.rgb, product.mask, product.bbox, box, size)
        else:
            reference = reference_picture(
                spec, product, renderer.reference_frame, renderer.reference_size
            )
        sampler, strength = spec.sampler, upscaling.strength

        def refine(native: Rgb) -> Rgb:
            large = upscaled(native, CoverMap(REFINED, 0, 0), size)
            request = RefineRequest(
                picture=large,
                mask=mask,
                frame=box.product_frame,
                tile=(spec.native.height, spec.native.width),
                reference_key=reference_key(spec, renderer.reference_frame),
                reference=reference,
                prompt=spec.prompt,
                negative_prompt=spec.negative_prompt,
                seed=spec.seed,
                strength=strength,
                steps=sampler.steps,
                guidance=sampler.guidance,
                reference_scale=sampler.reference_scale,
            )
            return detailed(large, renderer.refine(request), mask)

        return refine


def _times(box: Box, factor: int) -> Box:
    return Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor)


def _size_times(size: Size, factor: int) -> Size:
    return Size(size.width * factor, size.height * factor)
