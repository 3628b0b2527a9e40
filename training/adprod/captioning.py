"""Captions by a vision-language model, such as Qwen2.5-VL, through transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from adloom.errors import ModelError

QUESTIONS: Final = (
    "Describe this advertising picture of a {category} in one sentence: the product, where it "
    "stands, the background and the light.",
    "Describe in one short sentence the scene around the {category}: surface, background, props.",
    "Describe in one sentence the light, the colours and the mood of this picture of a {category}.",
    "Write one short caption of this picture of a {category}.",
)
"""One caption each; an item of AdProd has four."""

MAX_TOKENS = 72


class Captioner(Protocol):
    """Picture -> captions; `version` names the model."""

    version: str

    def captions(self, picture: NDArray[np.uint8], category: str) -> tuple[str, ...]:
        """What is seen in an ad (H, W, 3) of a product of the category."""
        ...


class VisionLanguageCaptioner:
    """Keeps a vision-language model in memory. Decoding is greedy: the same picture, the same
    captions."""

    def __init__(
        self,
        processor: Any,
        model: Any,
        name: str,
        *,
        device: str = "cpu",
        questions: Sequence[str] = QUESTIONS,
    ) -> None:
        self._processor, self._model = processor, model.to(device).eval()
        self._device, self._questions = device, tuple(questions)
        self.version = name

    @classmethod
    def load(
        cls, source: str | Path, *, device: str = "cpu", offline: bool = False
    ) -> "VisionLanguageCaptioner":
        """The model in a folder or of a hub id, e.g. `Qwen/Qwen2.5-VL-7B-Instruct`; in bfloat16 on
        a GPU. Raises ModelError where it cannot be had."""
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        try:
            processor = AutoProcessor.from_pretrained(source, local_files_only=offline)
            model = AutoModelForImageTextToText.from_pretrained(
                source, dtype=dtype, local_files_only=offline
            )
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(
                f"the captioner cannot be loaded: {error}",
                where=str(source),
                hint="name a folder or hub id of an image-text-to-text model of transformers",
            ) from error
        return cls(processor, model, str(source), device=device)

    @torch.inference_mode()
    def captions(self, picture: NDArray[np.uint8], category: str) -> tuple[str, ...]:
        """One caption a question, in order; the same answer twice is given once."""
        image = Image.fromarray(picture)
        answers = [self._answer(image, q.format(category=category)) for q in self._questions]
        return tuple(dict.fromkeys(a for a in answers if a))

    def _answer(self, image: Image.Image, question: str) -> str:
        content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._device)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        made = self._model.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False)
        fresh = made[:, inputs["input_ids"].shape[1] :]
        (answer,) = self._processor.batch_decode(fresh, skip_special_tokens=True)
        return " ".join(answer.split())
