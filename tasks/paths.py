"""Paths that a user named."""

from pathlib import Path

from adloom.errors import InvalidInputError


def user_path(text: str | Path) -> Path:
    """The absolute path, `~` resolved. Raises InvalidInputError if there can be no such path."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidInputError(f"is no path: {error}", where=str(text)[:200]) from error


def user_file(text: str | Path) -> Path:
    """The same, of a file that is there. Raises InvalidInputError."""
    path = user_path(text)
    try:
        if path.is_file():
            return path
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot be read: {reason}", where=str(path)) from error
    raise InvalidInputError("there is no such file", where=str(path))
