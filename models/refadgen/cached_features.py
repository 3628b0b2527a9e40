"""What a picture is conditioned on, computed once and kept.

References are encoded once per product and texts once per prompt, each by itself: what they give
then depends neither on their company nor on what is kept at the moment.
"""

from collections.abc import Callable, Sequence

import structlog

from models.refadgen.caches import MB, ByteCache
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.render_items import Picture, reference_views
from models.refadgen.text import TextFeatures

TEXT_CACHE_BYTES = 64 * MB
"""Some 560 prompts of Stable Diffusion 1.5 in bfloat16, 200 of SDXL."""

References = Callable[[str], Picture]
"""The product picture of a reference's key, asked for where its features are not kept: uint8 on
white. For a model of the canonical frame (S, S, 3), S = `reference_size`; for an aligned one
(H, W, 3), the product where the item's mask has it, at the native size. Several views of a product:
(V, ...), as many for each product of a micro-batch."""


log = structlog.get_logger(__name__)


class CachedFeatures:
    """Reference and text features of one pipeline, each bounded by bytes.

    A product whose features alone exceed `reference_bytes` is encoded for every micro-batch that it
    is in. truncate_prompts: see `RefAdGenPipeline.render`.
    """

    def __init__(
        self, pipeline: RefAdGenPipeline, reference_bytes: int, truncate_prompts: bool
    ) -> None:
        self.references: ByteCache[ReferenceFeatures] = ByteCache(reference_bytes)
        self.texts: ByteCache[TextFeatures] = ByteCache(TEXT_CACHE_BYTES)
        self._pipeline = pipeline
        self._truncate = truncate_prompts
        self._said_full = False

    def of_references(self, keys: Sequence[str], pictures: References) -> ReferenceFeatures:
        """One entry per key, of which each may come more than once."""

        def encoded(key: str) -> ReferenceFeatures:
            features = self._pipeline.encode_references(reference_views(key, pictures(key)))
            return features.as_views()

        each = {
            key: self.references.get_or_make(key, lambda key=key: encoded(key))
            for key in dict.fromkeys(keys)
        }
        self._say_once_if_full()
        return ReferenceFeatures.concatenate([each[key] for key in keys])

    def of_prompts(self, prompts: Sequence[str | None], argument: str) -> TextFeatures:
        """One entry per prompt; None is no prompt. The argument is named where one is refused."""

        def encoded(prompt: str | None) -> TextFeatures:
            return self._pipeline.encode_prompts([prompt], argument, truncate=self._truncate)

        each = {
            prompt: self.texts.get_or_make(_key(prompt), lambda prompt=prompt: encoded(prompt))
            for prompt in dict.fromkeys(prompts)
        }
        return TextFeatures.concatenate([each[prompt] for prompt in prompts])

    def _say_once_if_full(self) -> None:
        kept = self.references
        if self._said_full or not (kept.evicted or kept.too_large):
            return
        self._said_full = True
        log.info(
            "the reference cache is full: products that come back later are encoded again",
            products=len(kept),
            held_mb=round(kept.held_bytes / MB, 1),
            limit_mb=round(kept.limit_bytes / MB, 1),
        )

    def clear(self) -> None:
        self.references.clear()
        self.texts.clear()


def _key(prompt: str | None) -> str:
    return "no prompt" if prompt is None else f"prompt {prompt}"
