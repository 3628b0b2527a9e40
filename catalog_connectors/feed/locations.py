"""Where a feed is, and where the photos that it names are."""

from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from adloom.errors import FeedError
from adloom.feed_rows import RowReason, RowRefusedError, is_web_address


def local_path(location: str, *, base: Path | None = None) -> Path:
    """The absolute path that a path or a file:// address names; FeedError for other schemes."""
    scheme, separator, rest = location.partition("://")
    if not location.strip():
        raise FeedError("the location is empty", hint="give a path or an http(s) address")
    if not separator:
        return base / location if base else Path.cwd() / Path(location).expanduser()
    host, _, path = rest.partition("/")
    if scheme.lower() != "file" or host not in ("", "localhost"):
        raise FeedError(
            f"a feed cannot be read from '{scheme[:20]}://…'",
            hint="give a path, file:///…, an http(s) or an s3:// address; a database is --kind sql",
        )
    return Path("/" + unquote(path))


def remote_photo(written: str, feed_url: str) -> str:
    """A photo named by a remote feed, resolved against the feed's own address."""
    try:
        absolute = urlsplit(written).scheme or written.startswith(("//", "\\"))
        joined = urljoin(feed_url, written.replace(" ", "%20"))
    except ValueError:
        absolute, joined = True, ""
    if absolute or not is_web_address(joined):
        raise RowRefusedError(
            RowReason.BAD_PHOTO_LOCATION, f"'{written[:80]}' is not an http(s) address"
        )
    return joined


def addressed_photo(written: str) -> str:
    """A photo named by a catalogue that stands nowhere: only complete addresses do."""
    raise RowRefusedError(
        RowReason.BAD_PHOTO_LOCATION,
        f"'{written[:80]}' is not an http(s) address; a mapping's prefix can complete it",
    )


def local_photo(written: str, folder: Path, allow_outside: bool) -> str:
    """A photo named by a local feed: a path within the feed's folder."""
    try:
        path = (folder / local_path(written, base=folder)).resolve()
    except (FeedError, OSError, RuntimeError, ValueError) as error:
        raise RowRefusedError(
            RowReason.BAD_PHOTO_LOCATION, f"'{written[:80]}' is neither a path nor an address"
        ) from error
    if not allow_outside and not path.is_relative_to(folder.resolve()):
        raise RowRefusedError(
            RowReason.PHOTO_OUTSIDE_FEED,
            f"'{written[:80]}' lies outside of the feed's folder; move it there or set the "
            "option allow_outside",
        )
    return str(path)
