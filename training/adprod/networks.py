"""The networks that a build works with: what finds the product, and what finds text."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adloom.errors import ConfigurationError
from models.segmentation import ExtractedMask, MaskExtractor
from training.adprod.filters import TextDetector
from training.adprod.strokes import StrokeTextDetector

U2NETP, GROUNDED = "u2netp", "grounded:"
STROKES, OCR, NO_TEXT_CHECK = "strokes", "ocr", "none"


class ProductExtractor(Protocol):
    """Picture -> product mask. `version` names networks, weights and method."""

    version: str

    def extract(self, photo: NDArray[np.uint8], phrase: str) -> ExtractedMask:
        """The mask of what `phrase`, the category's name, says in a picture (H, W, 3)."""
        ...


class Unphrased:
    """An extractor that sees what stands out, whatever it is called."""

    def __init__(self, extractor: MaskExtractor) -> None:
        self._extractor, self.version = extractor, extractor.version

    def extract(self, photo: NDArray[np.uint8], phrase: str) -> ExtractedMask:
        del phrase
        return self._extractor.extract(photo)


class NoTextCheck:
    """Finds no text in anything."""

    version = NO_TEXT_CHECK

    def share_beside(self, rgb: NDArray[np.uint8], product: NDArray[np.bool_]) -> float:
        del rgb, product
        return 0.0


def load_extractor(name: str, device: str = "cpu", *, offline: bool = False) -> ProductExtractor:
    """`u2netp`; `grounded:DETECTOR,SEGMENTER`, folders or hub ids of a Grounding DINO and a SAM 2;
    or `module:factory` of a callable that returns a ProductExtractor. Raises ConfigurationError for
    what is not there, ModelError for weights that cannot be had."""
    if name == U2NETP:
        return Unphrased(MaskExtractor.load(threads=1))
    if name.startswith(GROUNDED):
        detector, _, segmenter = name.removeprefix(GROUNDED).partition(",")
        if not detector or not segmenter:
            raise ConfigurationError(
                f"{name!r} does not name two networks", hint="grounded:DETECTOR,SEGMENTER"
            )
        load = _factory("models.segmentation.grounded:GroundedExtractor.load", name, "extractor")
        return load(detector, segmenter, device=device, offline=offline)
    return _plugged(name, "extractor", ("version", "extract"))


def load_text_detector(name: str) -> TextDetector:
    """`strokes`, `ocr` (a network), `none`, or `module:factory` of a callable that returns a
    TextDetector. Raises ConfigurationError for what is not there."""
    if name == STROKES:
        return StrokeTextDetector()
    if name == OCR:
        return _factory("models.scoring.text:TextDetector.load", name, "text detector")(threads=1)
    if name == NO_TEXT_CHECK:
        return NoTextCheck()
    return _plugged(name, "text detector", ("version", "share_beside"))


def _plugged(name: str, what: str, needed: tuple[str, ...]) -> Any:
    made = _factory(name, name, what)()
    if missing := [n for n in needed if not hasattr(made, n)]:
        raise ConfigurationError(f"{name} makes no {what}: it has no {', '.join(missing)}")
    return made


def _factory(path: str, name: str, what: str) -> Callable[..., Any]:
    """The callable at `module:attribute`."""
    module, _, attribute = path.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"there is no {what} {name!r}: {error}",
            hint=f"give a known name, or module:factory of what makes a {what}",
        ) from error
    return found
