"""Text as Postgres can store it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_MESSAGE_LIMIT = 2000


def storable(text: str) -> str:
    """`text` without NUL characters and lone surrogates, which Postgres refuses."""
    text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def bounded(text: str) -> str:
    """An error's message, storable and of bounded length."""
    text = storable(text)
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[: _MESSAGE_LIMIT - 1]}…"


def as_json(value: Mapping[str, Any] | Iterable[Any]) -> str:
    """JSON for a jsonb parameter. NaN and infinities become null: jsonb knows neither."""
    plain = dict(value) if isinstance(value, Mapping) else list(value)
    return json.dumps(_finite(plain), default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
