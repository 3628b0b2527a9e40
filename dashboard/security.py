"""What every request and answer goes through: host, size, headers, and the last net for errors."""

import ipaddress
import time
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard import errors
from dashboard.context import Dashboard

LARGEST_BODY = 1 << 20
LARGEST_UPLOAD = 32 << 20
"""Of `multipart/form-data`: a mask or a photo."""
_SLOW_S = 1.0
_LOG = structlog.get_logger("dashboard")

CONTENT_SECURITY_POLICY = "; ".join((
    "default-src 'self'",
    "img-src 'self' data: blob:",  # masks are painted on a canvas
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS = "max-age=31536000"


def install(app: FastAPI, dashboard: Dashboard) -> None:
    """Puts these layers around the application, the outermost last."""
    app.add_middleware(_LastNet)
    app.add_middleware(_BodyLimit)
    app.add_middleware(_KnownHost, dashboard=dashboard)
    app.add_middleware(_SafeHeaders, secure=dashboard.is_secure)


class _SafeHeaders:
    """Sets `HEADERS`; what a route has said of caching stays, else nothing is kept."""

    def __init__(self, app: ASGIApp, secure: bool) -> None:
        self._app, self._secure = app, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if self._secure:
                    headers["Strict-Transport-Security"] = _HSTS
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class _KnownHost:
    """Refuses names that are not the dashboard's: another site's name that leads here (DNS
    rebinding) would make its scripts ours. An address that was bound to is no name."""

    def __init__(self, app: ASGIApp, dashboard: Dashboard) -> None:
        self._app, self._dashboard = app, dashboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._knows(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse(
                f"This dashboard is at {self._dashboard.url}\n", status_code=421
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._dashboard.hosts or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _BodyLimit:
    """Bounds what a request may carry, whatever length it says it has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, received = Headers(scope=scope), 0
        is_upload = headers.get("content-type", "").startswith("multipart/form-data")
        limit = LARGEST_UPLOAD if is_upload else LARGEST_BODY
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            refused = errors.answer(Request(scope), 413, "Too large", _too_large(limit))
            await refused(scope, receive, send)
            return

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _too_large(limit))
            return message

        await self._app(scope, bounded, send)


def _too_large(limit: int) -> str:
    return f"At most {limit >> 20} MB can be sent at once."


class _LastNet:
    """Answers what no handler foresaw, and logs requests that are slow or fail."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                took_s = time.monotonic() - begun
                if took_s > _SLOW_S or status >= 500:
                    _LOG.warning("slow or failed", method=scope["method"], path=scope["path"],
                                 status=status, seconds=round(took_s, 3))  # fmt: skip
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            if status:
                raise  # half an answer is out: the server has to break it off
            await errors.unexpected(Request(scope), error)(scope, receive, noting)
