"""Which of a product's photos suits ads best."""

from dataclasses import asdict, dataclass

VERSION = "photo-quality-1"
"""Raised by every change that changes scores."""


@dataclass(frozen=True, slots=True)
class PhotoSigns:
    """What is seen of a photo. All but the size are in [0, 1].

    `mask_confidence`: how far the product's mask can be trusted; `product_px`: the geometric mean
    of its width and height; `plainness`: 1 for a background of one colour; `text`: the share of the
    photo that is text beside the product; `border`: the share of the photo's border that is product
    (it is cut off there).
    """

    mask_confidence: float
    product_px: float
    plainness: float
    text: float
    border: float


@dataclass(frozen=True, slots=True)
class PhotoWeights:
    """How much each sign counts, and where it counts in full. The weights add up to 1.

    `enough_px`: a product of that size gains nothing by being larger; `much_text`: a share from
    which text counts as much as it can; `much_border`: likewise for a product that is cut off.
    """

    mask: float = 0.35
    size: float = 0.2
    plain: float = 0.15
    text: float = 0.2
    whole: float = 0.1
    enough_px: float = 640.0
    much_text: float = 0.01
    much_border: float = 0.1


WEIGHTS = PhotoWeights()


def photo_score(signs: PhotoSigns, weights: PhotoWeights = WEIGHTS) -> float:
    """How well a photo suits ads, in [0, 1]; only the order among one product's photos counts."""
    value = (
        weights.mask * signs.mask_confidence
        + weights.size * min(signs.product_px / weights.enough_px, 1.0)
        + weights.plain * signs.plainness
        + weights.text * (1 - min(signs.text / weights.much_text, 1.0))
        + weights.whole * (1 - min(signs.border / weights.much_border, 1.0))
    )
    return round(value, 6)


def parts_of(signs: PhotoSigns) -> dict[str, float]:
    """The signs as they are stored beside the score."""
    return {name: round(value, 6) for name, value in asdict(signs).items()}
