"""Pictures: photos, masks, renders, renditions, whole or smaller, checked before they go out."""

import hashlib
import threading
from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from adloom.errors import (
    AdloomError,
    InvalidInputError,
    NotFoundError,
    ObjectMissingError,
    StorageError,
    UnavailableError,
)
from dashboard.access import Viewer
from dashboard.context import dashboard_of
from dashboard.pictures import (
    SIDES_PX,
    Kind,
    Picture,
    Size,
    is_name,
    placeholder,
    require_signed,
)
from dashboard.thumbnails import ThumbnailCache, smaller
from db.queries import render_objects
from tasks.environment import Environment

router = APIRouter()
_LOG = structlog.get_logger("dashboard")

_OPENING = threading.Lock()
_KEPT = "private, max-age=31536000, immutable"
"""What an address shows never changes: it is of the content itself."""
_SIGNATURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_OUTAGE = ("Not to be had now", "the object store does not answer")


@router.get("/pictures/none")
def no_picture(person: Viewer) -> Response:
    """Stands where there is no picture yet."""
    del person
    return _placeholder(200, "No picture", "there is none yet")


@router.get("/pictures/{size}/{kind}/{name}")
def picture(
    request: Request,
    person: Viewer,
    size: Size,
    kind: Kind,
    name: str,
    expires: Annotated[int, Query(ge=0, le=1 << 40)],
    signature: Annotated[str, Query(max_length=64, pattern="^[0-9a-f]{64}$")],
    download: Annotated[str, Query(max_length=120, pattern="^[A-Za-z0-9_-]*$")] = "",
) -> Response:
    """A picture under a signed address; a placeholder that says why where it is not to be had."""
    del person
    require_signed(request, expires, signature)
    if not is_name(name):
        raise NotFoundError("there is no such picture")
    shown = Picture(kind, name)
    tag = f'"{name}-{size}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": _KEPT})
    try:
        content = _content(request, shown, size)
    except (ObjectMissingError, NotFoundError) as error:
        return _refused(404, "Missing", "the picture is not in the store", error)
    except InvalidInputError as error:
        return _refused(502, "Damaged", "the stored file is not what it was", error)
    except UnavailableError as error:
        return _refused(503, *_OUTAGE, error)
    except StorageError as error:
        return _refused(502, "Not to be had", "the object store refused", error)
    headers = {"ETag": tag, "Cache-Control": _KEPT}
    media_type = _media_type(content)
    if download:
        suffix = media_type.partition("/")[2]
        headers["Content-Disposition"] = f'attachment; filename="{download}.{suffix}"'
    return Response(content, media_type=media_type, headers=headers)


def _content(request: Request, shown: Picture, size: Size) -> bytes:
    env = dashboard_of(request).environment
    if size == "image":
        content = _verified(env, shown)
        # What browsers do not show (a mask has one, a photo may have another) goes out as WebP.
        return content if _media_type(content) else smaller(content, 1 << 14)
    side = SIDES_PX[size]
    make: Callable[[], bytes] = lambda: smaller(_verified(env, shown), side)  # noqa: E731
    return _cache(request).get(f"{shown.key(env.workspace)} {side}", make)


def _verified(env: Environment, shown: Picture) -> bytes:
    """The object's bytes, if they are those that were stored.

    Raises InvalidInputError where they are not, and what the store raises.
    """
    expected: str | None = shown.name
    if shown.kind == "render":
        with env.database.transaction() as tx:
            expected = render_objects.sha256_of(tx, env.workspace_id, shown.name)
        if expected is None:
            raise NotFoundError("the render is not made")
    content = env.store.get(shown.key(env.workspace))
    if hashlib.sha256(content).hexdigest() != expected:
        raise InvalidInputError(
            "the object's sha256 is not what was stored", where=shown.key(env.workspace)
        )
    return content


def _cache(request: Request) -> ThumbnailCache:
    state = request.app.state
    with _OPENING:
        if not hasattr(state, "thumbnails"):
            state.thumbnails = ThumbnailCache(dashboard_of(request).folder / "thumbnails")
    cache = state.thumbnails
    assert isinstance(cache, ThumbnailCache)
    return cache


def _media_type(content: bytes) -> str:
    """By the first bytes; empty for what browsers may not show."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _SIGNATURES if content.startswith(start)), "")


def _refused(status: int, title: str, detail: str, error: AdloomError) -> Response:
    _LOG.warning("no picture", error=str(error))
    return _placeholder(status, title, detail)


def _placeholder(status: int, title: str, detail: str) -> Response:
    headers = {"Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = "5"
    return Response(placeholder(title, detail), status, headers=headers, media_type="image/svg+xml")
