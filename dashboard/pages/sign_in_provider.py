"""Signing in by an OpenID provider: there and back."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.responses import RedirectResponse, Response

from adloom.errors import NotFoundError, SignInRefusedError
from dashboard.access.places import local_path
from dashboard.access.provider import Attempt, Provider
from dashboard.context import Dashboard, dashboard_of
from dashboard.pages.sign_in import client_of, refused, signed_in
from tasks import sign_in as tasks

router = APIRouter(prefix="/sign-in/provider")
_WITHIN_S = 600
Given = Annotated[str, Query(max_length=4000)]


@router.get("")
def there(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    dashboard = dashboard_of(request)
    attempt = Attempt.new(local_path(next))
    onward = RedirectResponse(_provider(dashboard).authorization_url(attempt), status_code=303)
    onward.set_cookie(
        _cookie(dashboard),
        _signing(dashboard).dumps(asdict(attempt)),
        max_age=_WITHIN_S,
        path="/",  # a name that begins with __Host- asks for it
        httponly=True,
        samesite="lax",
        secure=dashboard.is_secure,
    )
    return onward


@router.get("/back")
def back(request: Request, state: Given = "", code: Given = "", error: Given = "") -> Response:
    dashboard = dashboard_of(request)
    provider = _provider(dashboard)
    try:
        attempt = _attempt(request, state)
        if error or not code:
            raise SignInRefusedError("The provider did not let you in.")
        identity = provider.identity(attempt, code)
        done = tasks.by_identity(dashboard.environment, identity, client_of(request))
    except SignInRefusedError as refusal:
        answer = refused(request, refusal)
    else:
        answer = signed_in(request, done, attempt.next)
    answer.delete_cookie(
        _cookie(dashboard), path="/", httponly=True, samesite="lax", secure=dashboard.is_secure
    )
    return answer


def _attempt(request: Request, state: str) -> Attempt:
    """The attempt that this very browser began. Raises SignInRefusedError."""
    dashboard = dashboard_of(request)
    try:
        kept = _signing(dashboard).loads(
            request.cookies.get(_cookie(dashboard), ""), max_age=_WITHIN_S
        )
    except BadData as error:
        raise SignInRefusedError("This took too long, or began elsewhere; try again.") from error
    attempt = Attempt(**kept)
    if attempt.state != state:
        raise SignInRefusedError("This began elsewhere; try again.")
    return attempt


def _provider(dashboard: Dashboard) -> Provider:
    if dashboard.provider is None:
        raise NotFoundError("No OpenID provider is set.", hint="sign in by password")
    return dashboard.provider


def _signing(dashboard: Dashboard) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(dashboard.key("openid attempt"))


def _cookie(dashboard: Dashboard) -> str:
    """No sibling's host can plant one: whose attempt it is decides who is signed in."""
    name = f"adloom_openid_{dashboard.key('cookie name').hex()[:8]}"
    return f"__Host-{name}" if dashboard.is_secure else name
