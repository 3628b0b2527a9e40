"""The session's cookie, and the token against forged requests that derives from it."""

import hashlib
import hmac

from fastapi import Request, Response

from dashboard.context import Dashboard, dashboard_of
from tasks.sign_in import SESSION_S


def cookie_name(dashboard: Dashboard) -> str:
    """One of each installation: cookies do not tell ports apart."""
    name = f"adloom_{dashboard.key('cookie name').hex()[:8]}"
    return f"__Host-{name}" if dashboard.is_secure else name


def session_token(request: Request) -> str | None:
    return request.cookies.get(cookie_name(dashboard_of(request)))


def set_session_cookie(response: Response, dashboard: Dashboard, token: str) -> None:
    response.set_cookie(
        cookie_name(dashboard),
        token,
        max_age=int(SESSION_S),
        path="/",
        httponly=True,
        samesite="lax",
        secure=dashboard.is_secure,
    )


def clear_session_cookie(response: Response, dashboard: Dashboard) -> None:
    response.delete_cookie(
        cookie_name(dashboard), path="/", httponly=True, samesite="lax", secure=dashboard.is_secure
    )


def csrf_token(dashboard: Dashboard, session: str) -> str:
    """What a request that changes something has to carry beside the cookie of `session`."""
    key = dashboard.key("csrf")
    return hmac.new(key, session.encode(), hashlib.sha256).hexdigest()


def csrf_holds(dashboard: Dashboard, session: str, given: str | None) -> bool:
    return bool(given) and hmac.compare_digest(
        csrf_token(dashboard, session).encode(), str(given).encode()
    )
