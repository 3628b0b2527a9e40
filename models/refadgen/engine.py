"""The batch engine: any number of pictures, rendered in micro-batches."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

import structlog
import torch
from torch import Tensor

from adloom.errors import AdloomError, OutOfMemoryError, as_render_error, ends_the_work
from models.device import device_errors, free_unused
from models.refadgen.cached_features import CachedFeatures, References
from models.refadgen.caches import MB
from models.refadgen.decoding import PartwiseDecoder
from models.refadgen.microbatches import FittingSizes, micro_batches
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.render_items import (
    Kind,
    NotRendered,
    Outcome,
    Picture,
    Rendered,
    RenderItem,
    check_finite,
    common_kind,
    stacked_masks,
)

log = structlog.get_logger(__name__)

StillWanted = Callable[[Sequence[RenderItem]], Sequence[RenderItem]]


def all_of_them(items: Sequence[RenderItem]) -> Sequence[RenderItem]:
    return items


class BatchEngine:
    """Renders with one pipeline. Not safe for use by several threads at once.

    features, sizes, decoder: what it keeps from one call to the next. in_use: held while networks,
    scheduler or caches are at work; who uses them from another thread takes it, too.
    """

    def __init__(
        self, pipeline: RefAdGenPipeline, reference_bytes: int, *, truncate_prompts: bool = False
    ) -> None:
        self.features = CachedFeatures(pipeline, reference_bytes, truncate_prompts)
        self.sizes = FittingSizes()
        self.decoder = PartwiseDecoder(pipeline.decode_picture, self._decoding_did_not_fit)
        self.in_use = threading.RLock()
        self._pipeline = pipeline

    def render(
        self,
        items: Iterable[RenderItem],
        references: References,
        at_most: int,
        still_wanted: StillWanted = all_of_them,
    ) -> Generator[Outcome]:
        """One outcome per item, in micro-batches of one native size and one set of sampler
        parameters, `at_most` items each.

        Items are taken as they are needed, so that their masks need not all be there at once. The
        order: micro-batches as they fill, the rest at the end (see `micro_batches`); within a kind
        the items' own. still_wanted: asked before each micro-batch which of its items are to be
        made; the others have no outcome. What it raises ends the work.

        Out of memory, half as many are tried, and the size is kept for that native size. An item
        that cannot be rendered by itself is a NotRendered, and the others go on. Raised is only
        what trying again or mending the installation can help: what `references` raises of that
        kind, ModelError, DeviceError.
        """

        def size(kind: Kind) -> int:
            return self.sizes.at_most(kind.memory, at_most)

        for batch in micro_batches(items, Kind.of, size):
            yield from self._outcomes(still_wanted(batch), references)

    def at_once(self, items: Sequence[RenderItem], references: References) -> list[Picture]:
        """One micro-batch as it is: (H, W, 3) per item, in their order.

        RenderArgumentError names what cannot be used; OutOfMemoryError can be tried again with
        fewer items; RenderError where a picture became NaN; DeviceError.
        """
        pictures = self._pictures(items, references)
        made = [picture for picture in pictures if picture is not None]
        if len(made) < len(items):
            raise self._too_large(items[:1])
        return made

    def _outcomes(self, items: Sequence[RenderItem], references: References) -> Iterator[Outcome]:
        """Of items of one kind, cut as small as they have to be."""
        waiting = deque([list(items)] if items else [])
        while waiting:
            batch = waiting.popleft()
            size = self.sizes.at_most(Kind.of(batch[0]).memory, len(batch))
            if size < len(batch):
                waiting.extendleft(reversed(_cut(batch, size)))
                continue
            made = self._attempt(batch, references)
            if isinstance(made, OutOfMemoryError) and len(batch) == 1:
                self._drop_caches()
                made = self._attempt(batch, references)
            if not isinstance(made, AdloomError):
                yield from made
            elif len(batch) == 1:
                yield NotRendered(batch[0], made)
            elif isinstance(made, OutOfMemoryError):
                self._rendering_did_not_fit(batch)
                waiting.appendleft(batch)
            else:
                waiting.extendleft(reversed(_cut(batch, 1)))

    def _attempt(
        self, batch: list[RenderItem], references: References
    ) -> list[Outcome] | AdloomError:
        """The outcomes of a micro-batch, or why it has none."""
        started = time.perf_counter()
        try:
            pictures = self._pictures(batch, references)
        except Exception as caught:
            error = as_render_error(caught)
            if ends_the_work(error) and not isinstance(error, OutOfMemoryError):
                raise error from caught
            if error is not caught and len(batch) == 1:
                log.warning("a render failed in an unexpected way", exc_info=caught)
            return _without_frames(error)
        seconds = (time.perf_counter() - started) / len(batch)
        return [
            NotRendered(item, self._too_large([item]))
            if picture is None
            else Rendered(item, picture, seconds)
            for item, picture in zip(batch, pictures, strict=True)
        ]

    @torch.no_grad()
    def _pictures(
        self, items: Sequence[RenderItem], references: References
    ) -> list[Picture | None]:
        """None: of a picture that does not fit the device even when it is decoded alone."""
        if not items:
            return []
        device = self._pipeline.device
        with device_errors(device, lambda: self._too_large(items)), self.in_use:
            return self.decoder.pictures(self._latents(items, references))

    def _latents(self, items: Sequence[RenderItem], references: References) -> Tensor:
        """(B, C, h, w)."""
        kind = common_kind(items)
        masks = stacked_masks(items)
        negatives = [item.negative_prompt or None for item in items]
        latents = self._pipeline.render_latents(
            self.features.of_prompts([item.prompt for item in items], "prompts"),
            self.features.of_prompts(negatives, "negative_prompts"),
            self.features.of_references([item.reference for item in items], references),
            masks,
            torch.tensor([item.frame for item in items], dtype=torch.float32),
            [item.seed for item in items],
            steps=kind.steps,
            guidance_scale=kind.guidance,
            reference_scale=kind.reference_scale,
            sampler=kind.sampler,
            shortcuts=kind.shortcuts,
        )
        check_finite(latents)
        return latents

    def _rendering_did_not_fit(self, batch: list[RenderItem]) -> None:
        then = self.sizes.did_not_fit(Kind.of(batch[0]).memory, len(batch))
        height, width = batch[0].mask.shape
        log.warning(
            "out of memory", native=f"{width}x{height}", at_once=len(batch), from_now_on=then
        )
        free_unused(self._pipeline.device)

    def _decoding_did_not_fit(self, size: int, then: int) -> None:
        log.warning("out of memory in decoding", at_once=size, from_now_on=then)
        if then:
            free_unused(self._pipeline.device)
        else:
            self._drop_caches()

    def _drop_caches(self) -> None:
        kept = self.features.references
        log.warning("caches dropped: not one picture fits", mb=kept.held_bytes // MB)
        with self.in_use:
            self.features.clear()
        free_unused(self._pipeline.device)

    def _too_large(self, items: Sequence[RenderItem]) -> OutOfMemoryError:
        height, width = items[0].mask.shape[:2]
        if len(items) > 1:
            message = f"{len(items)} pictures of {width}x{height} px at once do not fit"
            hint = "render fewer at once"
        else:
            message = f"a picture of {width}x{height} px does not fit even alone"
            hint = "take a device with more memory, a smaller format, or dtype bfloat16"
        return OutOfMemoryError(message, where=str(self._pipeline.device), hint=hint)


def _cut(items: list[RenderItem], size: int) -> list[list[RenderItem]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _without_frames(error: AdloomError) -> AdloomError:
    """An error without its tracebacks, whose frames would keep the tensors of what failed."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
