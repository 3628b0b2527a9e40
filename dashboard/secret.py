"""The installation's secret, from which the dashboard's signatures come."""

import os
import secrets
from pathlib import Path

from adloom.errors import ConfigurationError

_BYTES = 32


def load_or_make(folder: Path) -> bytes:
    """The secret in `folder`, made if there is none; readable by its owner alone.

    Whoever loses it loses no data: sessions go on, forms and picture addresses that are open have
    to be loaded again. Raises ConfigurationError when it cannot be read or made.
    """
    path = folder / "secret"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the dashboard's secret cannot be read or made: {error.strerror}",
            where=str(path),
            hint="run adloom as the user to whom its home belongs",
        ) from error
    if len(secret) != _BYTES:
        raise ConfigurationError(
            "the dashboard's secret is damaged", where=str(path), hint="remove the file"
        )
    return secret


def _make(path: Path) -> None:
    """Whole or not at all, and of two processes that make it at once the first one's stays."""
    unfinished = path.with_name(f"secret.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_BYTES))
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
