"""From a name and a password, or a link, to a session; slowly for those who guess."""

import ipaddress
from dataclasses import dataclass, field

from adloom.errors import (
    ConflictError,
    InvalidInputError,
    SignInRefusedError,
    TooManyAttemptsError,
)
from adloom.records import AccountRecord
from adloom.states import Role
from db.engine import Transaction
from db.queries import accounts, audit, sessions
from tasks import passwords
from tasks.environment import Environment
from tasks.users import new_token, require_name, token_hash

WITHIN_S = 15 * 60.0
OF_NAME_FROM_ADDRESS, FROM_ADDRESS, OF_NAME = 5, 30, 50
"""Failed attempts within `WITHIN_S` after which no more are looked at. The last is high: a name's
owner cannot be locked out from their own address by a few wrong guesses from elsewhere."""
SESSION_S = 7 * 86_400.0
IDLE_S = 12 * 3600.0
"""A session ends after `SESSION_S`, and when nothing was asked for `IDLE_S`."""
_WRONG = "The name or the password is wrong."


@dataclass(frozen=True, slots=True)
class Client:
    """Where a sign-in comes from: an IP address, and what the browser calls itself."""

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    account: AccountRecord
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an OpenID provider says somebody is. `role` None: none of its claims makes one."""

    subject: str
    name: str
    role: Role | None


def by_password(env: Environment, name: str, password: str, client: Client) -> SignedIn:
    """Begins a session. Raises SignInRefusedError, TooManyAttemptsError.

    The attempt is counted before the password is looked at: many at once are counted as many.
    """
    name, ws, network = name.strip().lower()[:200], env.workspace_id, _network(client.address)
    with env.database.transaction() as tx:
        tries = accounts.attempts(tx, ws, name, network, within_s=WITHIN_S)
        _require_fewer(tries, plus=1)  # what is refused is not counted: rows stay bounded
        accounts.note_attempt(tx, ws, name, network)
    with env.database.transaction() as tx:
        _require_fewer(accounts.attempts(tx, ws, name, network, within_s=WITHIN_S))
        known = accounts.password_of(tx, ws, name)
    if not passwords.holds(known[1] if known else None, password) or known is None:
        _refuse(env, name, client)
        raise SignInRefusedError(_WRONG)
    renewed = passwords.hashed(password) if known[1] and passwords.is_outdated(known[1]) else None
    with env.database.transaction() as tx:
        accounts.forget_attempts(tx, ws, name, network)
        if renewed:
            accounts.set_password(tx, known[0], renewed)
        return begin(tx, env, known[0], client, "password")


def _require_fewer(tries: tuple[int, int, int], *, plus: int = 0) -> None:
    most = (OF_NAME_FROM_ADDRESS, FROM_ADDRESS, OF_NAME)
    if any(n + plus > limit for n, limit in zip(tries, most, strict=True)):
        raise TooManyAttemptsError()


def _network(address: str) -> str:
    """By what attempts are counted: a customer has 2^64 addresses of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped  # as a socket of IPv6 calls a client of IPv4
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def by_link(env: Environment, token: str, client: Client) -> SignedIn:
    """Begins a session by a link, which is then used up. Raises SignInRefusedError."""
    with env.database.transaction() as tx:
        account = sessions.use_link(tx, env.workspace_id, token_hash(token))
        if account is not None:
            return begin(tx, env, account, client, "link")
    raise SignInRefusedError(
        "This link has been used or is too old.", hint="ask for another: adloom user link NAME"
    )


def by_identity(env: Environment, identity: Identity, client: Client) -> SignedIn:
    """Begins a session for the account of this identity, made at its first sign-in.

    The role follows the provider's at each sign-in. An account of the same name that is another's
    is never taken over. Raises SignInRefusedError.
    """
    if identity.role is None:
        raise SignInRefusedError(
            "The provider knows you, but gives you no role here.", hint="ask an admin"
        )
    with env.database.transaction() as tx:
        found = accounts.by_subject(tx, env.workspace_id, identity.subject)
        if found is None:
            account = _new_account(tx, env, identity, identity.role, client)
        elif found.disabled_at:
            raise SignInRefusedError("This account is disabled.", hint="ask an admin")
        else:
            account = found.id
            if found.role is not identity.role:
                accounts.set_role(tx, account, identity.role)
        return begin(tx, env, account, client, "provider")


def _new_account(
    tx: Transaction, env: Environment, identity: Identity, role: Role, client: Client
) -> int:
    name = identity.name.strip().lower()
    try:
        require_name(name)
        account = accounts.add(tx, env.workspace_id, name, role, subject=identity.subject)
    except (InvalidInputError, ConflictError) as error:
        raise SignInRefusedError(
            f"No account can be made for you: {error.message}.", hint="ask an admin"
        ) from error
    _note(tx, env, name, client, "account.add", "provider")
    return account


def begin(tx: Transaction, env: Environment, account: int, client: Client, how: str) -> SignedIn:
    """A new session under a token that nobody has seen before."""
    token, found = new_token(), accounts.by_id(tx, env.workspace_id, account)
    sessions.add(
        tx, env.workspace_id, account, token_hash=token_hash(token), address=client.address,
        browser=client.browser, lifetime_s=SESSION_S,
    )  # fmt: skip
    _note(tx, env, found.name, client, "sign-in", how)
    return SignedIn(found, token)


def end(env: Environment, token: str) -> None:
    """Ends the session of this token, if it is one's, in favour of another."""
    with env.database.transaction() as tx:
        sessions.end(tx, token_hash(token))


def sign_out(env: Environment, token: str, name: str, client: Client) -> None:
    """Ends the session of this token."""
    with env.database.transaction() as tx:
        sessions.end(tx, token_hash(token))
        _note(tx, env, name, client, "sign-out", "")


def _refuse(env: Environment, name: str, client: Client) -> None:
    with env.database.transaction() as tx:
        _note(tx, env, name, client, "sign-in.refused", "password")


def _note(tx: Transaction, env: Environment, name: str, client: Client, act: str, how: str) -> None:
    audit.add(
        tx, env.workspace_id, account=name, address=client.address, act=act,
        subject=f"account {name}", details={"by": how} if how else {},
    )  # fmt: skip
