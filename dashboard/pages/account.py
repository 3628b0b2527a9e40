"""One's own account: password, sessions."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from adloom.errors import InvalidInputError
from adloom.records import Person
from dashboard.access import Viewer, acting
from dashboard.access.cookies import set_session_cookie
from dashboard.context import dashboard_of
from dashboard.database import Env
from dashboard.pages.sign_in import client_of
from dashboard.templating import page
from db.queries import accounts, sessions
from tasks import passwords, sign_in, users
from tasks.environment import Environment

router = APIRouter(prefix="/account")
Password = Annotated[str, Form(max_length=2000)]


@router.get("")
def account(request: Request, person: Viewer, env: Env) -> Response:
    return _shown(request, person, env)


@router.post("/password")
def change_password(
    request: Request, person: Viewer, env: Env, present: Password, new: Password, again: Password
) -> Response:
    """Signs out everywhere else; here a new session begins."""
    with env.database.transaction() as tx:
        known = accounts.password_of(tx, env.workspace_id, person.name)
        own = accounts.by_id(tx, env.workspace_id, person.account)
    try:
        if own.subject:
            # it would outlive the account at the provider
            raise InvalidInputError("Your organisation signs you in; there is no password here.")
        if known and known[1] and not passwords.holds(known[1], present):
            raise InvalidInputError("The present password is wrong.")
        if new != again:
            raise InvalidInputError("The two new passwords are not the same.")
        users.set_password(env, person.name, new, by=acting(request, person))
    except InvalidInputError as error:
        return _shown(request, person, env, problem=error, status=422)
    with env.database.transaction() as tx:
        renewed = sign_in.begin(tx, env, person.account, client_of(request), "password")
    onward = RedirectResponse("/account", status_code=303)
    set_session_cookie(onward, dashboard_of(request), renewed.token)
    return onward


@router.post("/sign-out-everywhere")
def sign_out_everywhere(request: Request, person: Viewer, env: Env) -> Response:
    users.sign_out_everywhere(env, person.name, by=acting(request, person))
    return RedirectResponse("/sign-in", status_code=303)


_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari", "curl")
_NAMES = {"Edg": "Edge", "OPR": "Opera"}
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")


def browser_name(agent: str) -> str:
    """What a browser calls itself, in two words: most call themselves by all their names."""
    browser = next((b for b in _BROWSERS if f"{b}/" in agent or f"{b}A/" in agent), "")
    system = next((s for s in _SYSTEMS if s in agent), "")
    known = [_NAMES.get(browser, browser), f"on {system}" if system else ""]
    return " ".join(filter(None, known)) or agent[:40] or "unknown"


def _shown(
    request: Request,
    person: Person,
    env: Environment,
    *,
    problem: InvalidInputError | None = None,
    status: int = 200,
) -> Response:
    with env.database.transaction() as tx:
        own = accounts.by_id(tx, env.workspace_id, person.account)
        open_sessions = sessions.of_account(tx, person.account)
    return page(
        request, "account.html", status=status, account=own, sessions=open_sessions,
        this_session=person.credential, problem=problem, shortest=passwords.SHORTEST,
        browser_name=browser_name,
    )  # fmt: skip
