"""Secrets by reference: `${NAME}` is an environment variable, `${file:/path}` a file's content.

A location is stored, shown and logged as it was written; what its references stand for is put in
only when it is used. So a password never lies in the database or in an error.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from adloom.errors import ConfigurationError, InvalidInputError

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEYS = re.compile(
    r"(?:password|passwd|pwd|secret|token|(?:api|access)[_-]?key|signature)$|(?:^|[_-])sig$"
    r"|^(?:x[_-])?auth(?:orization)?$",
    re.IGNORECASE,
)
_WEB = ("http://", "https://")
_SQL_PASSWORD = re.compile(r"[\w+]+://[^:/@]*:([^@]*)@")
"""As SQLAlchemy reads it: unlike a web address's, it may hold a slash."""
_MIN_SECRET_CHARS = 4
_MAX_SECRET_BYTES = 64 << 10


class Referenced:
    """A text with references. Raises InvalidInputError for one that is no reference."""

    def __init__(self, text: str, environ: Mapping[str, str] | None = None) -> None:
        self.text = text
        self._environ = os.environ if environ is None else environ
        for inner in _REFERENCE.findall(text):
            if not inner.startswith("file:/") and not _NAME.fullmatch(inner):
                raise InvalidInputError(
                    f"'${{{inner[:60]}}}' refers to nothing",
                    hint="write ${NAME} for an environment variable, ${file:/path} for a file",
                )

    def resolved(self) -> str:
        """The text with what its references stand for; within an address they are quoted.

        Raises ConfigurationError that names the variable or file, never its content.
        """
        if _REFERENCE.fullmatch(self.text):
            return self._value(self.text[2:-1])
        return _REFERENCE.sub(lambda m: quote(self._value(m[1]), safe=""), self.text)

    def without_references(self) -> str:
        """The text with a plain word for each reference: what it looks like, nothing of it."""
        return _REFERENCE.sub("reference", self.text)

    def concealed(self, message: str) -> str:
        """A message without the values of the references, and without the password of an address
        that is one, should it hold any."""
        values = [self._value(inner) for inner in _REFERENCE.findall(self.text)]
        with contextlib.suppress(ValueError):
            values.append(unquote(urlsplit(self.resolved()).password or ""))
        for value in values:
            for written in (value, quote(value, safe="")):
                if len(written) >= _MIN_SECRET_CHARS:
                    message = message.replace(written, "***")
        return message

    def shown(self) -> str:
        """The location as it may be told: an address without user, password and query."""
        if self.text.startswith("${") or "://" not in self.text:
            return self.text
        plain = re.split(r"[?#]", self.without_references(), maxsplit=1)[0]
        scheme, _, rest = plain.partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"

    def refuse_secrets(self) -> None:
        """Raises InvalidInputError for a password, key or token that is written out instead of
        referred to; a web address's user alone is one."""
        try:
            parts = urlsplit(self.text)
            password = parts.password
            keys = parse_qsl(parts.query)
        except ValueError as error:
            raise InvalidInputError("the address cannot be read") from error
        written = [password or "", *(v for k, v in keys if _SECRET_KEYS.search(k))]
        if self.text.lower().startswith(_WEB):
            written.append("" if password else parts.username or "")
        elif found := _SQL_PASSWORD.match(self.text):
            written.append(found[1])
        if any(w and not _REFERENCE.fullmatch(w) for w in written):
            raise InvalidInputError(
                "the address holds a password, key or token, which would be stored",
                hint="write ${NAME} in its place and set that environment variable, or "
                "${file:/path}",
            )

    def _value(self, inner: str) -> str:
        if not inner.startswith("file:"):
            value = self._environ.get(inner)
            if not value:
                raise ConfigurationError(
                    f"the environment variable {inner} is not set", where="the source's location"
                )
            return value
        path = Path(inner.removeprefix("file:"))
        try:
            with path.open(encoding="utf-8") as file:
                value = file.read(_MAX_SECRET_BYTES).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the file {path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}",
                where="the source's location",
            ) from error
        return value
