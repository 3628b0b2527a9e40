"""The networks that a build works with: what finds the product, and what finds text."""

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adloom.errors import ConfigurationError
from models.segmentation import ExtractedMask, MaskExtractor
from training.adprod.filters import TextDetector
from training.adprod.strokes import StrokeTextDetector

U2NETP = "u2netp"
STROKES, NO_TEXT_CHECK = "strokes", "none"


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


def load_extractor(name: str) -> ProductExtractor:
    """`u2netp`, or `module:factory` of a callable that returns a ProductExtractor."""
    if name == U2NETP:
        return Unphrased(MaskExtractor.load(threads=1))
    return _plugged(name, "extractor", ("version", "extract"))


def load_text_detector(name: str) -> TextDetector:
    """`strokes`, `none`, or `module:factory` of a callable that returns a TextDetector."""
    if name == STROKES:
        return StrokeTextDetector()
    if name == NO_TEXT_CHECK:
        return NoTextCheck()
    return _plugged(name, "text detector", ("version", "share_beside"))


def _plugged(name: str, what: str, needed: tuple[str, ...]) -> Any:
    module, _, attribute = name.partition(":")
    try:
        factory: Callable[[], Any] = import_module(module)
        for part in attribute.split("."):
            factory = getattr(factory, part)
        made = factory(**({"threads": 1} if "threads" in signature(factory).parameters else {}))
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"there is no {what} {name!r}: {error}",
            hint=f"give a known name, or module:factory of what makes a {what}",
        ) from error
    if missing := [n for n in needed if not hasattr(made, n)]:
        raise ConfigurationError(f"{name} makes no {what}: it has no {', '.join(missing)}")
    return made
