"""The dependency by which a route says who may ask for it."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from adloom.errors import AccessError, SignInNeededError
from adloom.records import Person, SignedInBy
from adloom.states import Role
from dashboard.access.cookies import csrf_holds, session_token
from dashboard.context import Dashboard, dashboard_of
from db.queries import api_tokens, sessions
from tasks.sign_in import IDLE_S
from tasks.users import token_hash

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf_token"
UNATTENDED_HEADER = "X-Unattended"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


async def csrf_given(request: Request) -> str | None:
    """The CSRF token that a request carries, in its header or in its form."""
    if request.method in SAFE:
        return None
    if given := request.headers.get(CSRF_HEADER):
        return given
    if request.headers.get("content-type", "").startswith(_FORMS):
        field = (await request.form()).get(CSRF_FIELD)
        return field if isinstance(field, str) else None
    return None


def requires(role: Role) -> Callable[..., Person]:
    """A dependency that gives the person who asks, if their role includes `role`.

    Raises SignInNeededError (a page: off to sign in; the API: 401) and AccessError (403).
    """

    def person(request: Request, csrf: Annotated[str | None, Depends(csrf_given)]) -> Person:
        found = identified(request)
        request.state.person = found
        if found.by is SignedInBy.SESSION and request.method not in SAFE:
            require_own_page(request, csrf)
        if not found.role.includes(role):
            raise AccessError(
                f"this needs the role {role.value}; {found.name} is a {found.role.value}",
                hint="ask an admin",
            )
        return found

    person.required_role = role  # pyright: ignore[reportFunctionMemberAccess] (tests walk the routes)
    return person


Viewer = Annotated[Person, Depends(requires(Role.VIEWER))]
Reviewer = Annotated[Person, Depends(requires(Role.REVIEWER))]
Operator = Annotated[Person, Depends(requires(Role.OPERATOR))]
Admin = Annotated[Person, Depends(requires(Role.ADMIN))]


def identified(request: Request) -> Person:
    """Who asks, by API token or session. Raises SignInNeededError."""
    env = dashboard_of(request).environment
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    session = session_token(request)
    found: Person | None = None
    with env.database.transaction() as tx:
        if scheme.lower() == "bearer":
            found = api_tokens.find(tx, env.workspace_id, token_hash(bearer.strip()))
        elif session:
            found = sessions.find(
                tx, env.workspace_id, token_hash(session), idle_s=IDLE_S,
                attended=not _is_of_an_open_page(request),
            )  # fmt: skip
    if found is None:
        raise SignInNeededError(hint="sign in, or send an API token: adloom user token NAME")
    return found


def _is_of_an_open_page(request: Request) -> bool:
    """Whether an open page asks by itself: one that was left open keeps no session alive."""
    return UNATTENDED_HEADER in request.headers or request.url.path.endswith("/live")


def require_own_page(request: Request, csrf: str | None) -> None:
    """Raises AccessError unless a page of ours sent this."""
    dashboard, session = dashboard_of(request), session_token(request)
    if not is_same_origin(request, dashboard):
        raise AccessError("another site sent this", hint="open the dashboard and do it there")
    if not session or not csrf_holds(dashboard, session, csrf):
        raise AccessError(
            "the page that sent this is of another session", hint="load the page again"
        )


def is_same_origin(request: Request, dashboard: Dashboard) -> bool:
    """False where the browser says that another site sent this."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser of today leaves it out where it matters; the token decides
    sent, own = urlsplit(origin), urlsplit(dashboard.url)
    if sent.scheme != own.scheme:
        return False
    if own.hostname == sent.hostname:
        return sent.port == own.port
    return sent.netloc == request.headers.get("host")  # another of its names: security checks it
