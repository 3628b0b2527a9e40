"""Signing in and out. The one page that needs no session."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from adloom.errors import AccessError, AdloomError, SignInRefusedError, TooManyAttemptsError
from dashboard.access import Viewer
from dashboard.access.auditing import client_address
from dashboard.access.cookies import (
    clear_session_cookie,
    csrf_holds,
    session_token,
    set_session_cookie,
)
from dashboard.access.places import local_path
from dashboard.access.requiring import csrf_given, is_same_origin
from dashboard.context import dashboard_of
from dashboard.templating import page
from tasks import sign_in as tasks
from tasks.sign_in import Client, SignedIn
from tasks.users import new_token

router = APIRouter()
Csrf = Annotated[str | None, Depends(csrf_given)]


@router.get("/sign-in")
def sign_in_form(
    request: Request,
    next: Annotated[str, Query(max_length=2000)] = "/",
) -> Response:
    return _form(request, next)


@router.post("/sign-in")
def sign_in(
    request: Request,
    csrf: Csrf,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=2000)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    try:
        _require_own_form(request, csrf)
        done = tasks.by_password(
            dashboard_of(request).environment, name, password, client_of(request)
        )
    except SignInRefusedError as error:
        return _form(request, next, name=name, problem=error, status=401)
    except TooManyAttemptsError as error:
        return _form(request, next, name=name, problem=error, status=429)
    except AccessError as error:
        return _form(request, next, name=name, problem=error, status=403)
    return signed_in(request, done, next)


@router.get("/sign-in/link")
def link_form(request: Request, token: Annotated[str, Query(max_length=200)]) -> Response:
    """A page with a button: what only looks at links in advance does not use them up."""
    return _with_form_cookie(request, lambda: page(request, "sign_in_link.html", token=token))


@router.post("/sign-in/link")
def link(request: Request, csrf: Csrf, token: Annotated[str, Form(max_length=200)]) -> Response:
    try:
        _require_own_form(request, csrf)
        done = tasks.by_link(dashboard_of(request).environment, token, client_of(request))
    except AccessError as error:
        return _form(request, "/", problem=error, status=401)
    return signed_in(request, done, "/")


@router.post("/sign-out")
def sign_out(request: Request, person: Viewer) -> Response:
    dashboard = dashboard_of(request)
    if token := session_token(request):
        tasks.sign_out(dashboard.environment, token, person.name, client_of(request))
    gone = RedirectResponse("/sign-in", status_code=303)
    clear_session_cookie(gone, dashboard)
    return gone


def client_of(request: Request) -> Client:
    return Client(client_address(request), request.headers.get("user-agent", ""))


def signed_in(request: Request, done: SignedIn, next: str) -> Response:
    """On to where one wanted to go, with the new session's cookie in place of any other."""
    dashboard, before = dashboard_of(request), session_token(request)
    if before:
        tasks.end(dashboard.environment, before)
    onward = RedirectResponse(local_path(next), status_code=303)
    set_session_cookie(onward, dashboard, done.token)
    return onward


def refused(request: Request, problem: SignInRefusedError) -> Response:
    """The form, with what was wrong."""
    return _form(request, "/", problem=problem, status=401)


def _require_own_form(request: Request, csrf: str | None) -> None:
    """Raises AccessError unless our form sent this: nobody signs others in as themselves."""
    dashboard, session = dashboard_of(request), session_token(request)
    if not is_same_origin(request, dashboard):
        raise AccessError("Another site sent this; sign in here.")
    if not session or not csrf_holds(dashboard, session, csrf):
        raise AccessError("The form was too old, or cookies are off; try again.")


def _form(
    request: Request,
    next: str,
    *,
    name: str = "",
    problem: AdloomError | None = None,
    status: int = 200,
) -> Response:
    return _with_form_cookie(
        request,
        lambda: page(
            request, "sign_in.html", status=status, next=local_path(next), name=name,
            problem=problem,
            by_provider=dashboard_of(request).provider is not None,
        ),
    )  # fmt: skip


def _with_form_cookie(request: Request, shown: Callable[[], Response]) -> Response:
    """The form with the cookie that its token belongs to, made if the browser has none."""
    if session_token(request):
        return shown()
    request.state.new_session = new_token()
    answer = shown()
    set_session_cookie(answer, dashboard_of(request), request.state.new_session)
    return answer
