"""Accounts of the dashboard, who is signed in, and the record of what they did."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from adloom.states import Role


class SignedInBy(StrEnum):
    """How a request shows whose it is."""

    SESSION = "session"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Person:
    """Who makes a request. `credential` is the id of the session or of the API token."""

    account: int
    name: str
    role: Role
    by: SignedInBy
    credential: int


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account. `subject` is its identity at an OpenID provider, as `issuer subject`."""

    id: int
    name: str
    role: Role
    has_password: bool
    subject: str | None
    disabled_at: datetime | None
    created_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """An API token, without the token."""

    id: int
    account: str
    label: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser that is signed in."""

    id: int
    address: str
    browser: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An act: who, what, on what, with what effect. Never changed or deleted."""

    id: int
    at: datetime
    account: str
    address: str
    act: str
    subject: str
    details: Mapping[str, Any]
