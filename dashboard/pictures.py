"""Addresses of pictures: signed, of limited life, and never a path of the object store."""

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlencode

from fastapi import Request

from adloom.errors import AccessError
from adloom.keys import mask_key, photo_key, render_key, rendition_key
from dashboard.context import Dashboard, dashboard_of

Kind = Literal["photo", "mask", "render", "rendition"]
Size = Literal["thumb", "view", "image"]
"""A WebP of 320 px, a WebP of 1280 px, the stored file."""

SIDES_PX: dict[str, int] = {"thumb": 320, "view": 1280}
LIFE_S = 6 * 3600
"""An address lives for one to two of these: it stays the same within a span, so that browsers find
what they keep."""

_KEYS = {"photo": photo_key, "mask": mask_key, "render": render_key, "rendition": rendition_key}
_FOLDERS: dict[str, Kind] = {
    "photos": "photo", "masks": "mask", "renders": "render", "renditions": "rendition",
}  # fmt: skip
NO_PICTURE = "/pictures/none"


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture: `name` is the sha256 of its bytes, of a render its fingerprint."""

    kind: Kind
    name: str

    @classmethod
    def of_key(cls, key: str) -> "Picture | None":
        """The picture that an object's key names; None where it names none."""
        folder, _, name = key.rpartition("/")
        kind = _FOLDERS.get(folder.rpartition("/")[2])
        return cls(kind, name) if kind and is_name(name) else None

    def key(self, workspace: str) -> str:
        return _KEYS[self.kind](workspace, self.name)


def is_name(name: str) -> bool:
    """Whether this is a sha256 in hexadecimal, as all pictures are called."""
    return len(name) == 64 and all(c in "0123456789abcdef" for c in name)


def picture_url(request: Request, key: str | Picture | None, kind: Size = "thumb") -> str:
    """The address of a picture, for who is signed in, until it expires.

    `key`: the object's key. Without a picture it is the address of a placeholder.
    """
    picture = Picture.of_key(key) if isinstance(key, str) else key
    if picture is None:
        return NO_PICTURE
    expires = (int(time.time()) // LIFE_S + 2) * LIFE_S
    path = f"/pictures/{kind}/{picture.kind}/{picture.name}"
    signature = _signature(dashboard_of(request), path, expires)
    return f"{path}?{urlencode({'expires': expires, 'signature': signature})}"


def require_signed(request: Request, expires: int, signature: str) -> None:
    """Raises AccessError for an address that was not given out, or is too old."""
    wanted = _signature(dashboard_of(request), request.url.path, expires)
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise AccessError("this address of a picture was not given out by the dashboard")
    if expires < time.time():
        raise AccessError("this address of a picture is too old", hint="load the page again")


def _signature(dashboard: Dashboard, path: str, expires: int) -> str:
    message = f"{path}\n{expires}\n{dashboard.environment.workspace}".encode()
    return hmac.new(dashboard.key("pictures"), message, hashlib.sha256).hexdigest()


def placeholder(title: str, detail: str) -> bytes:
    """An SVG in place of a picture, which says why there is none."""
    return _PLACEHOLDER.format(title=title, detail=detail).encode()


_PLACEHOLDER = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320" width="320" \
height="320" role="img" aria-label="{title}: {detail}"><rect width="320" height="320" \
fill="#8882"/><path d="M110 96h100v80H110zM110 160l32-30 24 22 18-14 26 24" fill="none" \
stroke="#888" stroke-width="4"/><g fill="#888" font-family="system-ui, sans-serif" \
text-anchor="middle"><text x="160" y="214" font-size="19">{title}</text><text x="160" y="240" \
font-size="14">{detail}</text></g></svg>"""

assert set(get_args(Size)) == {*SIDES_PX, "image"}
