"""Accounts of the dashboard: made, changed, disabled; their API tokens and links to sign in."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from adloom.errors import InvalidInputError, NotFoundError
from adloom.records import AccountRecord, TokenRecord
from adloom.states import Role
from db.engine import Transaction
from db.queries import accounts, api_tokens, audit, sessions
from tasks import passwords
from tasks.environment import Environment

LOCAL = "local"
"""The account of whoever runs commands on this machine, where there is no other."""
LINK_S = 15 * 60.0
TOKEN_DAYS = 90
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes an account, and from which address, as the audit log keeps it."""

    name: str
    address: str = ""


CONSOLE = Actor("console")
"""Whoever runs commands on this machine."""


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def add(
    env: Environment, name: str, role: Role, *, password: str | None, by: Actor = CONSOLE
) -> AccountRecord:
    """A new account; without a password it signs in by links or an OpenID provider.

    Raises InvalidInputError, ConflictError.
    """
    require_name(name)
    kept = None if password is None else passwords.hashed(password)
    with env.database.transaction() as tx:
        accounts.add(tx, env.workspace_id, name, role, password_hash=kept)
        _note(tx, env, by, "account.add", name, role=role.value)
        return accounts.get(tx, env.workspace_id, name)


def require_name(name: str) -> None:
    """Raises InvalidInputError unless it is a name for an account."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"'{name}' is no name for an account",
            hint="lower-case letters, digits and . _ @ + -, at most 100, a letter or digit first",
        )


def listed(env: Environment) -> tuple[AccountRecord, ...]:
    with env.database.transaction() as tx:
        return accounts.list_all(tx, env.workspace_id)


def set_password(env: Environment, name: str, password: str, *, by: Actor = CONSOLE) -> int:
    """Also signs the account out everywhere; returns from how many sessions."""
    kept = passwords.hashed(password)
    with env.database.transaction() as tx:
        account = accounts.get(tx, env.workspace_id, name)
        accounts.set_password(tx, account.id, kept)
        ended = sessions.end_all(tx, account.id)
        _note(tx, env, by, "account.password", name, sessions_ended=ended)
        return ended


def set_role(env: Environment, name: str, role: Role, *, by: Actor = CONSOLE) -> None:
    """Holds from the account's next request on."""
    with env.database.transaction() as tx:
        account = accounts.get(tx, env.workspace_id, name)
        accounts.set_role(tx, account.id, role)
        _note(tx, env, by, "account.role", name, before=account.role.value, after=role.value)


def set_disabled(env: Environment, name: str, disabled: bool, *, by: Actor = CONSOLE) -> None:
    """A disabled account is signed out everywhere, and its tokens are refused."""
    with env.database.transaction() as tx:
        account = accounts.get(tx, env.workspace_id, name)
        accounts.set_disabled(tx, account.id, disabled)
        if disabled:
            sessions.end_all(tx, account.id)
        _note(tx, env, by, "account.disable" if disabled else "account.enable", name)


def sign_out_everywhere(env: Environment, name: str, *, by: Actor = CONSOLE) -> int:
    """Ends all sessions of an account; returns how many."""
    with env.database.transaction() as tx:
        account = accounts.get(tx, env.workspace_id, name)
        ended = sessions.end_all(tx, account.id)
        _note(tx, env, by, "account.sign-out", name, sessions_ended=ended)
        return ended


def create_link(env: Environment, name: str, *, by: Actor = CONSOLE) -> str:
    """The token of a link that signs the account in once, within a quarter of an hour."""
    token = new_token()
    with env.database.transaction() as tx:
        account = accounts.get(tx, env.workspace_id, name)
        if account.disabled_at:
            raise InvalidInputError(f"the account '{name}' is disabled")
        sessions.add_link(
            tx, env.workspace_id, account.id, token_hash=token_hash(token), lifetime_s=LINK_S
        )
        _note(tx, env, by, "account.link", name)
    return token


def first_link(env: Environment) -> str | None:
    """A link for the account `local`, an admin, made if there is no account; None if others are.

    Whoever may run commands on this machine may do all that an admin may.
    """
    with env.database.transaction() as tx:
        names = {a.name for a in accounts.list_all(tx, env.workspace_id) if not a.disabled_at}
        if not names:
            accounts.add(tx, env.workspace_id, LOCAL, Role.ADMIN)
            _note(tx, env, CONSOLE, "account.add", LOCAL, role=Role.ADMIN.value)
            names = {LOCAL}
    return create_link(env, LOCAL) if names == {LOCAL} else None


def create_token(
    env: Environment, name: str, label: str, *, days: int = TOKEN_DAYS, by: Actor = CONSOLE
) -> str:
    """A token with which a program speaks for the account; one of the same label is replaced."""
    if not label.isprintable() or not 1 <= len(label) <= 100:
        raise InvalidInputError("a token's label has 1 to 100 printable characters")
    token = f"adloom_{new_token()}"
    with env.database.transaction() as tx:
        account = accounts.get(tx, env.workspace_id, name)
        api_tokens.add(
            tx, env.workspace_id, account.id, label=label, token_hash=token_hash(token),
            lifetime_s=days * 86_400.0,
        )  # fmt: skip
        _note(tx, env, by, "token.create", name, label=label, days=days)
    return token


def revoke_token(env: Environment, name: str, label: str, *, by: Actor = CONSOLE) -> None:
    """Raises NotFoundError."""
    with env.database.transaction() as tx:
        account = accounts.get(tx, env.workspace_id, name)
        if not api_tokens.revoke(tx, account.id, label):
            raise NotFoundError(f"{name} has no token '{label}'", hint="adloom user tokens")
        _note(tx, env, by, "token.revoke", name, label=label)


def tokens(env: Environment) -> tuple[TokenRecord, ...]:
    with env.database.transaction() as tx:
        return api_tokens.list_all(tx, env.workspace_id)


def _note(
    tx: Transaction, env: Environment, by: Actor, act: str, name: str, **details: object
) -> None:
    audit.add(
        tx, env.workspace_id, account=by.name, address=by.address, act=act,
        subject=f"account {name}", details=details,
    )  # fmt: skip
