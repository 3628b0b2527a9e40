"""The product mask by name: Grounding DINO finds what the category says, SAM 2 cuts it out.

Liu et al., "Grounding DINO: Marrying DINO with grounded pre-training for open-set object
detection", 2023; Ravi et al., "SAM 2: Segment anything in images and videos", 2024. Both by
transformers; any checkpoints of these classes, by folder or hub id.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from adloom.cutouts import MaskOrigin
from adloom.errors import ModelError, first_line
from models.segmentation.extractor import (
    ExtractedMask,
    MaskReason,
    checked_photo,
    measured,
    nothing,
)
from models.segmentation.measures import LEAST_AREA, area_fraction, real_alpha

REVISION = 1
"""Raised by every change that changes masks."""

FALLBACK_PHRASE = "product"

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What Grounding DINO must be sure of: a box, and that a word of the phrase is meant by it."""

    box: float = 0.35
    text: float = 0.25


class GroundedExtractor:
    """Extracts masks by what the product is called; keeps both networks in memory.

    `version` names both checkpoints and the hash of their parameters.
    """

    def __init__(
        self,
        detector: Any,
        detector_processor: Any,
        segmenter: Any,
        *,
        names: tuple[str, str],
        device: str = "cpu",
        thresholds: Thresholds = Thresholds(),
    ) -> None:
        self._device = torch.device(device)
        self._detector = detector.to(self._device).eval()
        self._detector_processor = detector_processor
        self._segmenter = segmenter.to(self._device).eval()
        self._thresholds = thresholds
        hashes = (_hash_of(detector), _hash_of(segmenter))
        named = "+".join(
            f"{n.rstrip('/').rpartition('/')[2]}-{h[:8]}"
            for n, h in zip(names, hashes, strict=True)
        )
        self.version = f"{named}+grounded-{REVISION}"

    @classmethod
    def load(
        cls,
        detector: str,
        segmenter: str,
        *,
        device: str = "cpu",
        offline: bool = False,
        thresholds: Thresholds = Thresholds(),
    ) -> "GroundedExtractor":
        """The extractor from a folder or hub id for each. Raises ModelError."""
        from transformers import (
            AutoModelForZeroShotObjectDetection,
            AutoProcessor,
            Sam2Model,
        )

        def loaded(kind: Any, name: str) -> Any:
            try:
                return kind.from_pretrained(name, local_files_only=offline)
            except (OSError, ValueError) as error:
                raise ModelError(
                    f"cannot be loaded: {first_line(error)}",
                    where=name,
                    hint="name a folder or hub id of this kind of model",
                ) from error

        return cls(
            loaded(AutoModelForZeroShotObjectDetection, detector),
            loaded(AutoProcessor, detector),
            loaded(Sam2Model, segmenter),
            names=(detector, segmenter),
            device=device,
            thresholds=thresholds,
        )

    def extract(self, photo: NDArray[np.uint8], phrase: str = "") -> ExtractedMask:
        """The mask of what `phrase` says in an (H, W, 3) or (H, W, 4) sRGB photo.

        Real alpha is taken as it is. `phrase` may be a category's path: its last step is meant.
        Where nothing of it is found, any product is looked for; a photo without one gives an empty
        mask of confidence 0. The confidence is SAM 2's own estimate of the IoU, of its least sure
        part. Raises MaskError for an array that is no photo.
        """
        checked_photo(photo)
        if photo.shape[2] == 4 and (alpha := real_alpha(photo[..., 3])) is not None:
            return measured(alpha, 1.0, MaskOrigin.ALPHA, "")
        rgb = np.ascontiguousarray(photo[..., :3])
        picture = Image.fromarray(rgb)
        for words in dict.fromkeys((spoken(phrase), FALLBACK_PHRASE)):
            boxes = self.boxes(picture, words)
            if len(boxes):
                return self._cut_out(picture, boxes)
        return nothing(*rgb.shape[:2])

    @torch.inference_mode()
    def boxes(self, picture: Image.Image, words: str) -> NDArray[np.float32]:
        """(N, 4) boxes (left, top, right, bottom) in px of what the words say, the surest first."""
        inputs = self._detector_processor(
            images=picture, text=f"{words.lower()}.", return_tensors="pt"
        ).to(self._device)
        (found,) = self._detector_processor.post_process_grounded_object_detection(
            self._detector(**inputs),
            inputs.input_ids,
            threshold=self._thresholds.box,
            text_threshold=self._thresholds.text,
            target_sizes=[(picture.height, picture.width)],
        )
        order = found["scores"].argsort(descending=True)
        boxes = found["boxes"][order].float().cpu().numpy()
        limit = np.array([picture.width, picture.height] * 2, np.float32)
        inside = np.clip(boxes, 0, limit)
        large = (inside[:, 2] - inside[:, 0] >= 1) & (inside[:, 3] - inside[:, 1] >= 1)
        return inside[large]

    @torch.inference_mode()
    def _cut_out(self, picture: Image.Image, boxes: NDArray[np.float32]) -> ExtractedMask:
        """The union of what SAM 2 sees in each box: a pair of shoes may be two."""
        side = int(self._segmenter.config.prompt_encoder_config.image_size)
        scale = np.array([side / picture.width, side / picture.height] * 2, np.float32)
        found = self._segmenter(
            pixel_values=_squeezed(picture, side).to(self._device),
            input_boxes=torch.from_numpy(boxes * scale)[None].to(self._device),
            multimask_output=True,
        )
        scores = found.iou_scores[0].float()
        best = scores.argmax(dim=1)
        each = torch.arange(len(best), device=best.device)
        logits = found.pred_masks[0].float()[each, best][:, None]  # (N, 1, h, w)
        size = (picture.height, picture.width)
        large = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        mask = (large > 0).any(dim=0)[0].cpu().numpy().astype(np.uint8) * 255
        if area_fraction(mask) < LEAST_AREA:
            return nothing(picture.height, picture.width)
        value = float(scores[each, best].min().clamp(0.0, 1.0))
        return measured(mask, value, MaskOrigin.EXTRACTED, _reason(mask, value))


def _squeezed(picture: Image.Image, side: int) -> torch.Tensor:
    """(1, 3, side, side): the whole photo squeezed and normalised as SAM 2 was trained.

    transformers' own processor does the same, but needs torchvision.
    """
    small = picture.resize((side, side), Image.Resampling.BILINEAR)
    values = (np.asarray(small, np.float32) / 255 - _MEAN) / _STD
    return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())


def spoken(phrase: str) -> str:
    """What a category's path is called in a caption: the words of its last step."""
    last = phrase.replace("/", ">").rpartition(">")[2]
    words = " ".join("".join(c if c.isalnum() else " " for c in last).split())
    return words.lower() or FALLBACK_PHRASE


def _reason(mask: NDArray[np.uint8], value: float) -> str:
    if area_fraction(mask) > 0.9:
        return MaskReason.FILLS_PHOTO
    return MaskReason.UNCERTAIN_EDGE if value < 0.7 else ""


def _hash_of(model: Any) -> str:
    """Sha256 over the names and values of a network's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}:{tuple(value.shape)}:{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
