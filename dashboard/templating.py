"""From a template and values to a page."""

from functools import cache
from typing import Any

import httpx
from fastapi import Request
from jinja2 import Environment as Jinja
from jinja2 import PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from adloom.states import Role
from catalog_connectors import addresses
from dashboard.access.cookies import csrf_token, session_token
from dashboard.access.requiring import CSRF_FIELD
from dashboard.context import dashboard_of
from dashboard.run_view import counted

NAVIGATION = (
    ("/runs", "Runs"),
    ("/review", "Review"),
    ("/campaigns", "Campaigns"),
    ("/catalogue", "Catalogue"),
    ("/scenes", "Scenes"),
    ("/numbers", "Numbers"),
)
THEME_COOKIE = "adloom_theme"


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """The page `template` with `context`; every value in it is escaped.

    Beside `context` a template knows `person` (None where nobody is signed in), `may(role)`,
    `csrf_token`, `csrf_field()`, `path`, `theme` and `navigation`.
    """
    return HTMLResponse(fragment(request, template, **context), status_code=status)


def fragment(request: Request, template: str, **context: Any) -> str:
    """As `page`, the HTML alone."""
    person = getattr(request.state, "person", None)
    session = getattr(request.state, "new_session", None) or session_token(request)
    csrf = csrf_token(dashboard_of(request), session) if session else ""
    theme = request.cookies.get(THEME_COOKIE)
    known: dict[str, Any] = {
        "person": person,
        "may": lambda role: person is not None and person.role.includes(Role(role)),
        "csrf_token": csrf,
        "csrf_field": lambda: Markup('<input type="hidden" name="{}" value="{}">').format(
            CSRF_FIELD, csrf
        ),
        "path": request.url.path,
        "theme": theme if theme in ("light", "dark") else "",
        "navigation": NAVIGATION,
    }
    return _jinja().get_template(template).render({**known, **context})


def told(location: str) -> str:
    """Where a photo is, without what opens it: a feed's addresses may hold passwords and keys."""
    if "://" not in location:
        return location
    try:
        return addresses.shown(location)
    except (ValueError, httpx.InvalidURL):
        return f"{location.partition(':')[0]}://…"


@cache
def _jinja() -> Jinja:
    jinja = Jinja(
        loader=PackageLoader("dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["count"] = lambda n: f"{n:,}"
    jinja.filters["counted"] = counted
    jinja.filters["told"] = told
    jinja.filters["percent"] = lambda share: "–" if share is None else f"{100 * share:.1f} %"
    return jinja
