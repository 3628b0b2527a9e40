"""Photo -> product mask: its alpha, a saliency network refined along edges, or a user's file."""

from models.segmentation.extractor import ExtractedMask, Extractor, MaskExtractor, MaskReason
from models.segmentation.manual import mask_from_file

__all__ = ["ExtractedMask", "Extractor", "MaskExtractor", "MaskReason", "mask_from_file"]
