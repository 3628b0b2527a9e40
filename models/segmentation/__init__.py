"""Photo -> product mask: its own alpha, a saliency network refined along edges, or a user's file."""

from models.segmentation.extractor import ExtractedMask, MaskExtractor, MaskReason
from models.segmentation.manual import mask_from_file

__all__ = ["ExtractedMask", "MaskExtractor", "MaskReason", "mask_from_file"]
