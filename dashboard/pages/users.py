"""Accounts, for admins: roles, links to sign in, disabling."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from adloom.errors import ConflictError, InvalidInputError
from adloom.records import Person
from adloom.states import Role
from dashboard.access import Admin, acting
from dashboard.context import dashboard_of
from dashboard.database import Env
from dashboard.parameters import SlugPath, Text
from dashboard.templating import page
from tasks import users as tasks
from tasks.environment import Environment

router = APIRouter(prefix="/users")
_DONE = {
    "added": "The account is made.",
    "role": "The role is changed.",
    "disabled": "The account is disabled, and signed out everywhere.",
    "enabled": "The account may sign in again.",
}


@router.get("")
def users(
    request: Request, person: Admin, env: Env, done: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    del person
    return _shown(request, env, done=_DONE.get(done, ""))


@router.post("")
def add(
    request: Request,
    person: Admin,
    env: Env,
    name: Annotated[Text, Form(max_length=100)],
    role: Annotated[Role, Form()],
) -> Response:
    """An account without a password, and the link by which its owner sets one."""
    try:
        tasks.add(env, name.strip().lower(), role, password=None, by=acting(request, person))
    except (InvalidInputError, ConflictError) as error:
        return _shown(request, env, problem=error, status=422)
    return _link(request, env, name.strip().lower(), person)


@router.post("/{name}/link")
def link(request: Request, person: Admin, env: Env, name: SlugPath) -> Response:
    return _link(request, env, name, person)


@router.post("/{name}/role")
def set_role(
    request: Request, person: Admin, env: Env, name: SlugPath, role: Annotated[Role, Form()]
) -> Response:
    _refuse_for_oneself(person, name)
    tasks.set_role(env, name, role, by=acting(request, person))
    return RedirectResponse("/users?done=role", status_code=303)


@router.post("/{name}/disable")
def disable(request: Request, person: Admin, env: Env, name: SlugPath) -> Response:
    _refuse_for_oneself(person, name)
    tasks.set_disabled(env, name, True, by=acting(request, person))
    return RedirectResponse("/users?done=disabled", status_code=303)


@router.post("/{name}/enable")
def enable(request: Request, person: Admin, env: Env, name: SlugPath) -> Response:
    tasks.set_disabled(env, name, False, by=acting(request, person))
    return RedirectResponse("/users?done=enabled", status_code=303)


def _refuse_for_oneself(person: Person, name: str) -> None:
    """So that there is always an admin left."""
    if person.name == name:
        raise ConflictError("This is your own account.", hint="ask another admin")


def _link(request: Request, env: Environment, name: str, person: Person) -> Response:
    token = tasks.create_link(env, name, by=acting(request, person))
    url = f"{dashboard_of(request).url}/sign-in/link?token={token}"
    return _shown(request, env, link_of=name, link=url)


def _shown(
    request: Request,
    env: Environment,
    *,
    done: str = "",
    problem: InvalidInputError | ConflictError | None = None,
    link_of: str = "",
    link: str = "",
    status: int = 200,
) -> Response:
    return page(
        request, "users.html", status=status, accounts=tasks.listed(env), roles=list(Role),
        done=done, problem=problem, link_of=link_of, link=link,
    )  # fmt: skip
