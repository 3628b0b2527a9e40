"""Accounts, for admins."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field

from adloom.errors import ConflictError
from adloom.records import AccountRecord, Person
from adloom.states import Role
from dashboard.access import Admin, acting
from dashboard.database import Env
from dashboard.parameters import SlugPath, Text
from tasks import users as tasks

router = APIRouter(prefix="/users", tags=["access"])


class Account(BaseModel):
    """`subject`: the identity at an OpenID provider, as `issuer subject`."""

    name: str
    role: Role
    has_password: bool
    subject: str | None
    disabled_at: datetime | None
    created_at: datetime
    seen_at: datetime | None


class NewAccount(BaseModel):
    """Without a password; its owner signs in by a link or an OpenID provider."""

    name: Annotated[Text, Field(min_length=1, max_length=100)]
    role: Role = Role.VIEWER


class Accounts(BaseModel):
    users: list[Account]


@router.get("")
def users(person: Admin, env: Env) -> Accounts:
    """All accounts, by name."""
    del person
    return Accounts(users=[_account(a) for a in tasks.listed(env)])


@router.post("", status_code=201)
def add(request: Request, person: Admin, env: Env, account: NewAccount) -> Account:
    """A new account."""
    return _account(
        tasks.add(env, account.name, account.role, password=None, by=acting(request, person))
    )


@router.put("/{name}/role", status_code=204)
def set_role(
    request: Request, person: Admin, env: Env, name: SlugPath, role: Annotated[Role, Body()]
) -> None:
    """Holds from the account's next request on."""
    _refuse_for_oneself(person, name)
    tasks.set_role(env, name, role, by=acting(request, person))


@router.put("/{name}/disabled", status_code=204)
def set_disabled(
    request: Request, person: Admin, env: Env, name: SlugPath, disabled: Annotated[bool, Body()]
) -> None:
    """A disabled account is signed out everywhere, and its tokens are refused."""
    _refuse_for_oneself(person, name)
    tasks.set_disabled(env, name, disabled, by=acting(request, person))


def _refuse_for_oneself(person: Person, name: str) -> None:
    if person.name == name:
        raise ConflictError("This is your own account.", hint="ask another admin")


def _account(found: AccountRecord) -> Account:
    return Account(
        name=found.name,
        role=found.role,
        has_password=found.has_password,
        subject=found.subject,
        disabled_at=found.disabled_at,
        created_at=found.created_at,
        seen_at=found.seen_at,
    )
