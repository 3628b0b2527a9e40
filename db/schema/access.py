"""Accounts of the dashboard, their sessions and tokens, and the audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from adloom.states import Role
from db.schema.base import Base, Created, Id, WorkspaceId, enum_of

ACCOUNT_ROLE = enum_of(Role, "account_role")


class Account(Base):
    """A person who may sign in: by password, by an OpenID provider, or by a link used once."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        UniqueConstraint("workspace_id", "subject"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(ACCOUNT_ROLE)
    password_hash: Mapped[str | None]
    subject: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[Created]


class AccountSession(Base):
    """A browser that is signed in; of its token only the hash is kept."""

    __tablename__ = "account_session"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "account_id"))
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    token_hash: Mapped[str]
    address: Mapped[str]
    browser: Mapped[str]
    created_at: Mapped[Created]
    seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]


class ApiToken(Base):
    """A token with which a program speaks for an account."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("token_hash"), UniqueConstraint("account_id", "label"))
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    label: Mapped[str]
    token_hash: Mapped[str]
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInLink(Base):
    """A link that signs an account in once; its row goes with its use."""

    __tablename__ = "sign_in_link"
    __table_args__ = (UniqueConstraint("token_hash"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    token_hash: Mapped[str]
    expires_at: Mapped[datetime]


class SignInFailure(Base):
    """A sign-in that failed or is being checked; kept for a day, to slow guessing down."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (
        Index(None, "workspace_id", "name", "at"),
        Index(None, "workspace_id", "address", "at"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    name: Mapped[str]
    address: Mapped[str]
    at: Mapped[Created]


class AuditLog(Base):
    """An act of a person; append-only by a trigger. Accounts are by name, so that it outlasts
    them."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "account", "id"),
        CheckConstraint("act <> ''", name="act"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    at: Mapped[Created]
    account: Mapped[str]
    address: Mapped[str]
    act: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
