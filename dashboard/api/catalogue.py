"""Products and their masks as JSON."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel

from dashboard.access import Operator, Viewer, audit
from dashboard.database import Env, Reading, Workspace
from dashboard.masking import PhotoPath, set_mask
from dashboard.parameters import After, Limit, Search, Text
from db.queries.dashboard import catalogue

router = APIRouter(tags=["catalogue"])


class ProductOut(BaseModel):
    product: int
    source: str
    external_id: str
    title: str
    category: str
    active: bool
    availability: str
    photo_sha256: str | None
    problems: int


class ProductsOut(BaseModel):
    """`next`: give it as `after` for the next page; None on the last one."""

    products: list[ProductOut]
    next: int | None


class InvalidatedOut(BaseModel):
    """What of a campaign another mask makes anew at its next run."""

    campaign: str
    renders: int
    creatives: int
    approved: int


class MaskOut(BaseModel):
    photo_sha256: str
    version: int
    mask_sha256: str
    area_fraction: float
    invalidated: list[InvalidatedOut]


@router.get("/products")
def list_products(
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    q: Search = None,
    source: Search = None,
    with_problems: bool = False,
    after: After = None,
    limit: Limit = 50,
) -> ProductsOut:
    """Products by number; `q`: the beginning of an id, or words of title and brand."""
    found = catalogue.page(
        tx, ws, search=q or "", source=source or None, with_problems=with_problems,
        after=after or 0, limit=limit + 1,
    )  # fmt: skip
    shown = found[:limit]
    return ProductsOut(
        products=[
            ProductOut(
                product=p.id, source=p.source, external_id=p.external_id, title=p.title,
                category=p.category, active=p.active, availability=p.availability,
                photo_sha256=p.photo_sha256, problems=p.problems,
            )
            for p in shown
        ],
        next=shown[-1].id if len(found) > limit else None,
    )  # fmt: skip


@router.get("/photos/{photo}/invalidates")
def invalidates(
    tx: Reading, ws: Workspace, _person: Viewer, photo: PhotoPath
) -> list[InvalidatedOut]:
    """What another mask of the photo would make anew."""
    catalogue.photo(tx, ws, photo)
    return _invalidated(catalogue.invalidated(tx, ws, photo))


@router.post("/photos/{photo}/mask")
def post_mask(
    request: Request,
    env: Env,
    tx: Reading,
    person: Operator,
    photo: PhotoPath,
    file: Annotated[UploadFile, File(description="A grey picture of the photo's size.")],
    note: Annotated[Text, Form(max_length=500)] = "",
) -> MaskOut:
    """Gives a photo a mask; white is the product."""
    made_anew = catalogue.invalidated(tx, env.workspace_id, photo)
    version = set_mask(env, photo, file, given_by=person.name, note=note)
    audit(
        request, person, act="mask.set", subject=f"photo {photo}",
        details={"version": version.number, "renders": sum(i.renders for i in made_anew)},
    )  # fmt: skip
    return MaskOut(
        photo_sha256=photo,
        version=version.number,
        mask_sha256=version.cutout.mask_sha256,
        area_fraction=version.cutout.area_fraction,
        invalidated=_invalidated(made_anew),
    )


def _invalidated(found: tuple[catalogue.Invalidated, ...]) -> list[InvalidatedOut]:
    return [
        InvalidatedOut(
            campaign=i.campaign, renders=i.renders, creatives=i.creatives, approved=i.approved
        )
        for i in found
    ]
