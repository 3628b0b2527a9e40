"""Where to go after signing in: only to pages of ours."""

from urllib.parse import urlsplit


def local_path(wanted: str | None, otherwise: str = "/") -> str:
    """`wanted` if it is a path of this site, else `otherwise`.

    Browsers read `\\` as `/` and leave out tabs and line ends, so that `/\\evil.example` and
    `/<tab>/evil.example` would lead elsewhere.
    """
    if not wanted or not wanted.startswith("/") or wanted.startswith("//"):
        return otherwise
    if "\\" in wanted or not wanted.isprintable() or len(wanted) > 2000:
        return otherwise
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return otherwise
    return otherwise if parts.scheme or parts.netloc else wanted
