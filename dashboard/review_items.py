"""A creative as the review pages and the API show it."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, ConfigDict

from adloom.keys import rendition_key
from adloom.records import CreativeView, ReviewRecord, Sibling
from dashboard.context import dashboard_of
from dashboard.pictures import Picture, picture_url
from tasks.reviewing import ReviewItem


class PictureUrls(BaseModel):
    """Signed addresses: 320 px, 1280 px, and the file as it is stored."""

    thumb: str
    view: str
    image: str


class ShownReason(BaseModel):
    """A gate that was missed or nearly so; `value` is null where the score is missing."""

    code: str
    score: str
    value: float | None
    min: float | None
    max: float | None


class ShownReview(BaseModel):
    id: int
    reviewer: str
    decision: str
    reason: str
    image_sha256: str
    at: datetime


class ShownSibling(BaseModel):
    """Another draw, format or variant; `is_this` marks the picture under review itself."""

    creative: int
    format: str
    variant: int
    draw: int
    outcome: str
    is_this: bool
    finished: PictureUrls | None


class ShownProduct(BaseModel):
    external_id: str
    title: str
    brand: str
    category: str
    price: str | None


class ShownItem(BaseModel):
    """What a reviewer sees. A decision names `creative`, `image_sha256` and `last_review`.

    `distance`: of the scores to the gates they nearly missed or met; null where one is missing.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    creative: int
    run: int
    campaign: str
    product: ShownProduct
    scene: str
    scene_version: int
    format: str
    variant: int
    draw: int
    outcome: str
    withdrawn: str | None
    image_sha256: str | None
    width: int | None
    height: int | None
    reasons: list[ShownReason]
    scores: dict[str, float]
    distance: float | None
    claimed_until: datetime | None
    last_review: ShownReview | None
    photo: PictureUrls
    mask: PictureUrls
    raw: PictureUrls | None
    finished: PictureUrls | None
    siblings: list[ShownSibling]


def shown(request: Request, item: ReviewItem) -> ShownItem:
    """`item` with the addresses of its pictures."""
    view, slot, rendition = item.view, item.view.slot, item.view.rendition
    price = view.product.price
    return ShownItem(
        creative=view.creative_id,
        run=view.run_id,
        campaign=view.campaign,
        product=ShownProduct(
            external_id=view.product.external_id,
            title=view.product.title,
            brand=view.product.brand,
            category=view.product.category,
            price=f"{price.amount} {price.currency}" if price else None,
        ),
        scene=slot.scene_slug,
        scene_version=view.scene_version,
        format=slot.format_slug,
        variant=slot.variant,
        draw=view.draw,
        outcome=view.outcome.value,
        withdrawn=view.withdrawn,
        image_sha256=rendition.sha256 if rendition else None,
        width=rendition.width if rendition else None,
        height=rendition.height if rendition else None,
        reasons=[
            ShownReason(code=r.code, score=r.score, value=r.value, min=r.min, max=r.max)
            for r in view.reasons
        ],
        scores=dict(sorted(view.scores.items())),
        distance=item.claim.distance if item.claim else None,
        claimed_until=item.claim.until if item.claim else None,
        last_review=shown_review(item.last_review) if item.last_review else None,
        photo=urls(request, Picture("photo", view.spec.photo_sha256)),
        mask=urls(request, Picture("mask", view.spec.mask_sha256)),
        raw=raw_urls(request, view),
        finished=urls(request, rendition.object_key) if rendition else None,
        siblings=[_sibling(request, s, view) for s in item.siblings],
    )


def raw_urls(request: Request, view: CreativeView) -> PictureUrls | None:
    return urls(request, Picture("render", view.fingerprint)) if view.render else None


def shown_review(review: ReviewRecord) -> ShownReview:
    return ShownReview(
        id=review.id,
        reviewer=review.reviewer,
        decision=review.decision.value,
        reason=review.reason,
        image_sha256=review.image_sha256,
        at=review.created_at,
    )


def urls(request: Request, key: str | Picture) -> PictureUrls:
    """All sizes of one picture."""
    return PictureUrls(
        thumb=picture_url(request, key, "thumb"),
        view=picture_url(request, key, "view"),
        image=picture_url(request, key, "image"),
    )


def _sibling(request: Request, sibling: Sibling, view: CreativeView) -> ShownSibling:
    workspace = dashboard_of(request).environment.workspace
    image = sibling.image_sha256
    return ShownSibling(
        creative=sibling.creative_id,
        format=sibling.format,
        variant=sibling.variant,
        draw=sibling.draw,
        outcome=sibling.outcome.value,
        is_this=sibling.creative_id == view.creative_id and sibling.draw == view.draw,
        finished=urls(request, rendition_key(workspace, image)) if image else None,
    )
