"""Synthetic ads: made-up products in made-up scenes, for training and for tests.

Everything is drawn with numpy and OpenCV from a random generator that the caller passes in.
"""

from training.scenes_synth.generator import (
    CANONICAL_FILL,
    NATIVE_SIZES,
    REFERENCE_SIZE,
    SynthSample,
    canonical,
    frame_of,
    sample,
    sample_batch,
)
from training.scenes_synth.grammar import CAPTION_WORDS

__all__ = [
    "CANONICAL_FILL",
    "CAPTION_WORDS",
    "NATIVE_SIZES",
    "REFERENCE_SIZE",
    "SynthSample",
    "canonical",
    "frame_of",
    "sample",
    "sample_batch",
]
