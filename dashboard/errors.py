"""What a person or a program is told when a request fails: a page, or `application/problem+json`.

Nothing of the inside is shown: an unexpected error is logged under an id, and the id is what the
page says.
"""

import contextlib
import secrets
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from adloom.errors import (
    AccessError,
    AdloomError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    SignInNeededError,
    SignInRefusedError,
    SpecError,
    TooManyAttemptsError,
    UnavailableError,
)
from dashboard.access.requiring import identified
from dashboard.templating import page

RETRY_S = 5
_LOG = structlog.get_logger("dashboard")
# The first that fits counts.
_STATUS: tuple[tuple[type[AdloomError], HTTPStatus], ...] = (
    (SignInNeededError, HTTPStatus.UNAUTHORIZED),
    (SignInRefusedError, HTTPStatus.UNAUTHORIZED),
    (TooManyAttemptsError, HTTPStatus.TOO_MANY_REQUESTS),
    (AccessError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConflictError, HTTPStatus.CONFLICT),
    (LeaseLostError, HTTPStatus.CONFLICT),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(BaseModel):
    """RFC 9457: what went wrong, and how to mend it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    hint: str | None = None
    problems: list[str] = []
    """One entry for each parameter or line that is wrong."""


_CONTENT = {"application/problem+json": {"schema": Problem.model_json_schema()}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "content": _CONTENT}
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 503)
}


def install(app: FastAPI) -> None:
    """Answers errors that leave a route. What none of these is, `security` answers."""
    app.add_exception_handler(AdloomError, _adloom_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)


def unexpected(request: Request, error: Exception) -> Response:
    """The answer to an error that nobody foresaw, which is logged under an id."""
    reference = secrets.token_hex(4)
    _LOG.error(
        "request failed", reference=reference, method=request.method, path=request.url.path,
        # as text: a renderer of tracebacks might show local variables, such as passwords
        traceback="".join(traceback.format_exception(error)),
    )  # fmt: skip
    return answer(
        request, 500, "Something went wrong",
        f"This was not foreseen. The log has the details under {reference}.",
    )  # fmt: skip


def answer(
    request: Request,
    status: int,
    title: str,
    detail: str,
    *,
    hint: str | None = None,
    problems: list[str] | None = None,
    kind: str = "about:blank",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page for browsers, a problem document for programs."""
    if is_for_a_program(request):
        problem = Problem(
            type=kind, title=title, status=status, detail=detail, hint=hint, problems=problems or []
        )
        return JSONResponse(
            problem.model_dump(), status, headers=headers, media_type="application/problem+json"
        )
    retries = RETRY_S if status == 503 and request.method == "GET" else 0
    shown = page(
        request, "error.html", status=status, title=title, detail=detail, hint=hint,
        problems=problems or [], code=status, retries=retries,
    )  # fmt: skip
    shown.headers.update(headers or {})
    return shown


def is_for_a_program(request: Request) -> bool:
    """Whether a script asks, ours or another's, and no page is wanted."""
    accepts = request.headers.get("accept", "")
    return request.url.path.startswith("/api/") or (
        "text/html" not in accepts and ("json" in accepts or "event-stream" in accepts)
    )


async def _adloom_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AdloomError)
    if isinstance(error, SignInNeededError) and not is_for_a_program(request):
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        wanted = asked if request.method == "GET" else "/"
        return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", status_code=303)
    status = next((s for kind, s in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return unexpected(request, error)
    detail, hint = error.message, error.hint
    if isinstance(error, DatabaseUnavailableError):
        _LOG.warning("the database does not answer", error=str(error), path=request.url.path)
        detail, hint = "The database does not answer.", "This page tries again by itself."
    headers = {"Retry-After": str(RETRY_S)} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="adloom"'
    problems = [str(p) for p in error.problems] if isinstance(error, SpecError) else []
    return answer(
        request, status, status.phrase, detail, hint=hint, problems=problems,
        kind=f"urn:adloom:error:{error.error_class}", headers=headers,
    )  # fmt: skip


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        await run_in_threadpool(_recognise, request)
    said = {404: "There is no such page.", 405: "This address takes no such request."}
    return answer(
        request, status, status.phrase, said.get(status, str(error.detail)), headers=error.headers
    )


def _recognise(request: Request) -> None:
    """No route has asked who this is; the page that says so has the way back for who is known."""
    with contextlib.suppress(AdloomError):
        request.state.person = identified(request)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
        for found in error.errors()[:50]
    ]
    return answer(
        request, 422, "Unprocessable request", "Some of what was sent cannot be used.",
        problems=problems,
    )  # fmt: skip
