"""RefAdGen called like one of diffusers' pipelines: pictures in, pictures out, step callbacks."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from torch import Tensor
from torch.nn import functional as F

from adloom.geometry import Box
from models.refadgen.checks import refuse
from models.refadgen.pictures import Picture, as_output, as_tensor

OUTPUTS = ("pil", "np", "pt", "latent")

StepCallback = Callable[[Any, int, Tensor, dict[str, Any]], dict[str, Any]]
Generators = torch.Generator | Sequence[torch.Generator] | None


class DiffusersCall:
    """`pipeline(prompt, image, mask_image)`. Mixed into RefAdGenPipeline, whose `render` it wraps.

    Inside a callback, `pipeline._interrupt = True` ends the sampling after the present step.
    """

    _callback_tensor_inputs = ["latents"]  # noqa: RUF012  (diffusers')
    _interrupt = False
    _num_timesteps = 0

    @property
    def interrupt(self) -> bool:
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        image: Picture | Sequence[Picture],
        mask_image: Picture | Sequence[Picture],
        negative_prompt: str | Sequence[str | None] | None = None,
        num_inference_steps: int = 20,
        guidance_scale: float = 4.0,
        reference_scale: float = 1.0,
        num_images_per_prompt: int = 1,
        generator: Generators = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback
        | PipelineCallback
        | MultiPipelineCallbacks
        | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        truncate_prompts: bool = False,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Advertising pictures, `num_images_per_prompt` for each prompt.

        image: the product on white, in the model's reference frame; mask_image: where it shall
        stand, white = product, at the native size; each one for all prompts or one per prompt.
        reference_scale: lambda. generator: one, or one per picture; a generator of its own
        seeded with n gives a picture as `render(seeds=[n])` does. output_type: pil, np, pt or
        latent.
        callback_on_step_end: (pipeline, i, t, {"latents": z}) -> dict, as in diffusers.
        truncate_prompts: leave out the end of a prompt beyond the text encoder's length, which is
        refused otherwise.
        RenderArgumentError names the argument that cannot be used.
        """
        if output_type not in OUTPUTS:
            raise refuse("output_type", f"{output_type!r}", f"one of {', '.join(OUTPUTS)}")
        pipeline = cast(Any, self)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        count = len(prompts)
        negatives = _one_each("negative_prompt", negative_prompt, count)
        masks = _repeated("mask_image", as_tensor("mask_image", mask_image, 1), count)
        pictures = _fitting(pipeline, as_tensor("image", image, 3))
        products = range(count) if len(pictures) == count else [0] * count
        if len(pictures) not in (1, count):
            raise refuse("image", f"{len(pictures)} for {count} prompts", "give one, or one each")
        chosen = [i for i in range(count) for _ in range(num_images_per_prompt)]
        made = pipeline.render(
            [prompts[i] for i in chosen],
            [negatives[i] for i in chosen],
            pipeline.encode_references(pictures).select([products[i] for i in chosen]),
            masks[chosen],
            torch.tensor([product_frame(masks[i, 0]) for i in chosen]),
            _generators(generator, len(chosen)),
            num_inference_steps,
            guidance_scale,
            reference_scale,
            _after_step(pipeline, callback_on_step_end, callback_on_step_end_tensor_inputs),
            decode=output_type != "latent",
            truncate_prompts=truncate_prompts,
        )
        images = as_output(made, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)


def product_frame(mask: Tensor) -> tuple[float, float, float]:
    """(cx, cy, side) px of the product that a mask (H, W) in [0, 1] shows; an empty one: of all."""
    inside = (mask >= 0.5).cpu().numpy()
    ys, xs = np.nonzero(inside.any(axis=1))[0], np.nonzero(inside.any(axis=0))[0]
    if not len(xs):
        return Box(0.0, 0.0, float(mask.shape[-1]), float(mask.shape[-2])).product_frame
    left, top = float(xs[0]), float(ys[0])
    return Box(left, top, float(xs[-1] + 1) - left, float(ys[-1] + 1) - top).product_frame


def _fitting(pipeline: Any, pictures: Tensor) -> Tensor:
    """Square pictures brought to the canonical size; all others as they are, to be checked."""
    side = pipeline.reference_size
    square = pictures.ndim == 4 and pictures.shape[-1] == pictures.shape[-2] != side
    if pipeline.reference_frame != "canonical" or not square:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def _one_each(
    argument: str, texts: str | Sequence[str | None] | None, count: int
) -> list[str | None]:
    each = [texts] * count if texts is None or isinstance(texts, str) else list(texts)
    if len(each) != count:
        raise refuse(argument, f"{len(each)} for {count} prompts", "give one, or one each")
    return each


def _repeated(argument: str, pictures: Tensor, count: int) -> Tensor:
    if len(pictures) == 1:
        return pictures.expand(count, *pictures.shape[1:])
    if len(pictures) != count:
        raise refuse(argument, f"{len(pictures)} for {count} prompts", "give one, or one each")
    return pictures


def _generators(given: Generators, count: int) -> list[torch.Generator]:
    """One per picture; a single one gives its noise to all, one after the other."""
    if given is None:
        fresh = torch.Generator()
        fresh.seed()
        return [fresh] * count
    if isinstance(given, torch.Generator):
        return [given] * count
    if len(given) != count:
        raise refuse("generator", f"{len(given)} for {count} pictures", "give one, or one each")
    return list(given)


def _after_step(
    pipeline: Any,
    callback: StepCallback | PipelineCallback | MultiPipelineCallbacks | None,
    names: Sequence[str],
) -> Callable[[int, Tensor, Tensor], Tensor] | None:
    if callback is None:
        return None
    if isinstance(callback, PipelineCallback | MultiPipelineCallbacks):
        names = callback.tensor_inputs
    allowed = pipeline._callback_tensor_inputs
    unknown = sorted(set(names) - set(allowed))
    if unknown:
        raise refuse(
            "callback_on_step_end_tensor_inputs",
            f"{', '.join(unknown)} cannot be handed out",
            f"choose from {', '.join(allowed)}",
        )

    def after_step(i: int, t: Tensor, z: Tensor) -> Tensor:
        given = {"latents": z} if "latents" in names else {}
        return callback(pipeline, i, t, given).get("latents", z)

    return after_step
