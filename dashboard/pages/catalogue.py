"""Products: found, shown with photos, masks, problems and creatives; masks replaced."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse

from adloom.keys import mask_key, photo_key
from dashboard.access import Operator, Viewer, audit
from dashboard.database import Env, Reading, Workspace
from dashboard.masking import PhotoPath, set_mask
from dashboard.parameters import After, IdPath, Search, Text
from dashboard.pictures import Size, picture_url
from dashboard.templating import page
from db.queries import catalog, cutouts
from db.queries.dashboard import catalogue
from tasks import masks

router = APIRouter()
ROWS, TILES = 50, 60


@router.get("/catalogue")
def list_products(
    request: Request,
    env: Env,
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    q: Search = None,
    source: Search = None,
    problems: Search = None,
    after: After = None,
) -> HTMLResponse:
    """Products by number, or those that are searched for."""
    found = catalogue.page(
        tx, ws, search=q or "", source=source or None, with_problems=problems == "1",
        after=after or 0, limit=ROWS + 1,
    )  # fmt: skip
    rows = found[:ROWS]
    kept = {"q": q or "", "source": source or "", "problems": "1" if problems == "1" else ""}
    return page(
        request,
        "catalogue.html",
        rows=[(p, _photo_url(request, env.workspace, p.photo_sha256)) for p in rows],
        sources=catalog.source_slugs(tx, ws),
        chosen=kept,
        next=f"/catalogue?{urlencode({**kept, 'after': rows[-1].id})}"
        if len(found) > ROWS
        else None,
        first=f"/catalogue?{urlencode(kept)}" if after else None,
    )


@router.get("/catalogue/{product}")
def show_product(
    request: Request,
    env: Env,
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    product: IdPath,
    after: After = None,
) -> HTMLResponse:
    """A product with its photos, masks, problems and creatives."""
    view = catalogue.product(tx, ws, product)
    tiles = catalogue.creatives_of(tx, ws, product, after=after or 0, limit=TILES + 1)
    photos = []
    for photo in view.photos:
        mask = cutouts.current(tx, ws, photo.photo_sha256) if photo.photo_sha256 else None
        url = _photo_url(request, env.workspace, photo.photo_sha256, "view")
        key = mask_key(env.workspace, mask.mask_sha256) if mask else None
        mask_url = picture_url(request, key, "view") if key else None
        photos.append((photo, url, mask, mask_url))
    return page(
        request,
        "product.html",
        product=view,
        photos=photos,
        tiles=[(t, picture_url(request, t.object_key, "thumb")) for t in tiles[:TILES]],
        next=f"/catalogue/{product}?after={tiles[TILES - 1].creative_id}"
        if len(tiles) > TILES
        else None,
        first=f"/catalogue/{product}" if after else None,
    )


@router.get("/catalogue/{product}/photos/{photo}")
def show_mask(
    request: Request,
    env: Env,
    tx: Reading,
    ws: Workspace,
    _person: Viewer,
    product: IdPath,
    photo: PhotoPath,
) -> HTMLResponse:
    """A photo's mask: to look at, paint over, replace, or go back to an earlier one."""
    found = catalogue.photo(tx, ws, photo)
    key = mask_key(env.workspace, found.current.mask_sha256) if found.current else None
    return page(
        request,
        "mask.html",
        product=catalogue.product(tx, ws, product),
        photo=found,
        photo_url=_photo_url(request, env.workspace, photo, "image"),
        mask_url=picture_url(request, key, "image") if key else "",
        invalidated=catalogue.invalidated(tx, ws, photo),
    )


@router.post("/catalogue/{product}/photos/{photo}/mask")
def replace_mask(
    request: Request,
    env: Env,
    tx: Reading,
    person: Operator,
    product: IdPath,
    photo: PhotoPath,
    file: Annotated[UploadFile, File()],
    note: Annotated[Text, Form(max_length=500)] = "",
) -> RedirectResponse:
    """Replaces a mask by an uploaded one."""
    made_anew = sum(i.renders for i in catalogue.invalidated(tx, env.workspace_id, photo))
    version = set_mask(env, photo, file, given_by=person.name, note=note)
    details = {"version": version.number, "renders": made_anew}
    audit(request, person, act="mask.set", subject=f"photo {photo}", details=details)
    return RedirectResponse(f"/catalogue/{product}/photos/{photo}", status_code=303)


@router.post("/catalogue/{product}/photos/{photo}/mask/revert")
def revert_mask(
    request: Request,
    env: Env,
    person: Operator,
    product: IdPath,
    photo: PhotoPath,
    version: Annotated[int, Form(ge=0, le=100_000)],
) -> RedirectResponse:
    """Goes back to an earlier mask; 0: the extracted one."""
    if version == 0:
        masks.withdraw(env, photo)
    else:
        masks.revert(env, photo, version, given_by=person.name)
    details = {"version": version}
    audit(request, person, act="mask.revert", subject=f"photo {photo}", details=details)
    return RedirectResponse(f"/catalogue/{product}/photos/{photo}", status_code=303)


def _photo_url(request: Request, workspace: str, sha256: str | None, size: Size = "thumb") -> str:
    return picture_url(request, photo_key(workspace, sha256) if sha256 else None, size)
