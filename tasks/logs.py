"""How processes log: lines for people, or one JSON object a line for machines.

What a line is about (`run`, `batch`, `render`, `worker`) is bound where that work starts. It stands
on every line that is written from there on, Prefect's included; passwords stand on none.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, merge_contextvars

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]*@", re.IGNORECASE)
_NAMED = re.compile(r"password|passwd|secret|token|authori[sz]ation|auth_string", re.IGNORECASE)
_SECRETS = re.compile(r"SECRET|TOKEN|PASSWORD|_AUTH$|AUTH_STRING|^ADLOOM_WEBHOOK_")
"""Variables whose value may stand on no line."""
_HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6


def configure(log_format: str) -> None:
    """Sets up adloom's own log lines of this process, on stderr."""
    if log_format == "json":
        structlog.configure(
            processors=[
                merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                _as_event,
                _hide_secrets,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
            logger_factory=_NamedLogger,
        )
    else:
        structlog.reset_defaults()
        defaults: list[Any] = list(structlog.get_config()["processors"])
        structlog.configure(processors=[*defaults[:-1], _hide_secrets, defaults[-1]],
                            logger_factory=_NamedLogger)  # fmt: skip


def prefect_environment(log_format: str) -> dict[str, str]:
    """The variables with which Prefect logs in the same form; set them before it is imported.

    Any item of Prefect's logging configuration is a variable; this one is the formatter of its
    console handler.
    """
    if log_format != "json":
        return {}
    return {
        "PREFECT_LOGGING_FORMATTERS_STANDARD_": "tasks.logs.JsonFormatter",
        "PREFECT_LOGGING_COLORS": "false",
    }


def about(**ids: object) -> AbstractContextManager[Any]:
    """Has log lines within the block name what they are about."""
    return bound_contextvars(**{name: value for name, value in ids.items() if value is not None})


def about_process(**ids: object) -> None:
    """The same for the rest of the process, in what it starts from here."""
    bind_contextvars(**ids)


def in_context(work: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """`work` for another thread, whose log lines are about what this one's are about."""
    context = copy_context()

    def call(*given: Arguments.args, **named: Arguments.kwargs) -> Result:
        return context.copy().run(work, *given, **named)

    return call


class _NamedLogger(structlog.PrintLogger):
    """Prints to stderr and keeps the name that it was got by."""

    def __init__(self, name: str = "adloom") -> None:
        super().__init__(sys.stderr)
        self.name = name


class JsonFormatter(logging.Formatter):
    """Lines of the standard library's loggers, Prefect's among them, in the same form."""

    def __init__(self, *_given: object, **_named: object) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {"event": record.getMessage(), "level": record.levelname.lower()}
        for name in ("flow_run_id", "flow_run_name", "task_run_name"):
            if value := getattr(record, name, None):
                event[name] = str(value)
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        logger = logging.getLogger(record.name)
        merged = merge_contextvars(logger, record.levelname, event)
        event = dict(_as_event(logger, record.levelname, merged, record.created))
        event["logger"] = record.name
        return _dumps(_hide_secrets(logger, record.levelname, event))


def _as_event(
    logger: Any, _method: str, event: MutableMapping[str, Any], at: float | None = None
) -> MutableMapping[str, Any]:
    """time, level, logger and message first, then the rest."""
    now = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    rest = {k: v for k, v in event.items() if k not in ("event", "level", "logger")}
    return {
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": event.get("level", "info"),
        "logger": event.get("logger") or getattr(logger, "name", None) or "adloom",
        "message": str(event.get("event", "")),
        **rest,
    }


def _hide_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Takes passwords out of addresses, and secrets of the environment out of everything."""
    known = [
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST_SECRET and _SECRETS.search(name)
    ]
    return {name: _HIDDEN if _NAMED.search(name) else _clean(value, known)
            for name, value in event.items()}  # fmt: skip


def _clean(value: Any, known: list[str]) -> Any:
    if isinstance(value, str):
        for secret in known:
            value = value.replace(secret, _HIDDEN)
        return _ADDRESS.sub(rf"\g<scheme>{_HIDDEN}@", value)
    if isinstance(value, Mapping):
        return {k: _HIDDEN if _NAMED.search(str(k)) else _clean(v, known) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v, known) for v in value]
    return value


def _dumps(event: Any, **_options: Any) -> str:
    return json.dumps(event, default=str, ensure_ascii=False)
