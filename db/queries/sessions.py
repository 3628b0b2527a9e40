"""Sessions of browsers, and links that begin one."""

from sqlalchemy import text

from adloom.records import Person, SessionRecord, SignedInBy
from adloom.states import Role
from db.engine import Transaction
from db.text import storable

_ADD = text("""
INSERT INTO account_session (workspace_id, account_id, token_hash, address, browser, expires_at)
SELECT :ws, :account, :hash, :address, :browser, now() + make_interval(secs => :lifetime)
RETURNING id
""")

_FIND = text("""
SELECT s.id, a.id AS account, a.name, a.role::text AS role,
    s.seen_at < now() - interval '1 minute' AS stale
FROM account_session s JOIN account a ON a.id = s.account_id
WHERE s.token_hash = :hash AND s.workspace_id = :ws AND s.expires_at > now()
    AND s.seen_at > now() - make_interval(secs => :idle) AND a.disabled_at IS NULL
""")

_SEEN = text("UPDATE account_session SET seen_at = now() WHERE id = :id")

_END = text("DELETE FROM account_session WHERE token_hash = :hash")
_END_ALL = text("DELETE FROM account_session WHERE account_id = :account")
_END_OLD = text("DELETE FROM account_session WHERE workspace_id = :ws AND expires_at < now()")

_OF = text("""
SELECT id, address, browser, created_at, seen_at, expires_at FROM account_session
WHERE account_id = :account AND expires_at > now() ORDER BY seen_at DESC LIMIT 100
""")

_ADD_LINK = text("""
INSERT INTO sign_in_link (workspace_id, account_id, token_hash, expires_at)
VALUES (:ws, :account, :hash, now() + make_interval(secs => :lifetime))
""")

_USE_LINK = text("""
DELETE FROM sign_in_link l USING account a
WHERE l.token_hash = :hash AND l.workspace_id = :ws AND l.expires_at > now()
    AND a.id = l.account_id AND a.disabled_at IS NULL
RETURNING a.id
""")

_END_LINKS = text("DELETE FROM sign_in_link WHERE account_id = :account OR expires_at < now()")


def add(
    tx: Transaction,
    ws: int,
    account: int,
    *,
    token_hash: str,
    address: str,
    browser: str,
    lifetime_s: float,
) -> int:
    """Begins a session, and forgets those that have expired."""
    tx.execute(_END_OLD, {"ws": ws})
    return tx.execute(_ADD, {
        "ws": ws, "account": account, "hash": token_hash, "address": storable(address),
        "browser": storable(browser)[:300], "lifetime": lifetime_s,
    }).scalar_one()  # fmt: skip


def find(
    tx: Transaction, ws: int, token_hash: str, *, idle_s: float, attended: bool = True
) -> Person | None:
    """Whose session it is, unless it has ended or its account is disabled; `attended` requests
    show that somebody is there, and keep it from falling idle."""
    values = {"ws": ws, "hash": token_hash, "idle": idle_s}
    row = tx.execute(_FIND, values).one_or_none()
    if row is None:
        return None
    if row.stale and attended:
        tx.execute(_SEEN, {"id": row.id})
    return Person(row.account, row.name, Role(row.role), SignedInBy.SESSION, row.id)


def end(tx: Transaction, token_hash: str) -> None:
    tx.execute(_END, {"hash": token_hash})


def end_all(tx: Transaction, account: int) -> int:
    """Signs an account out everywhere and takes its unused links back; how many sessions."""
    tx.execute(_END_LINKS, {"account": account})
    return tx.execute(_END_ALL, {"account": account}).rowcount  # pyright: ignore[reportAttributeAccessIssue]


def of_account(tx: Transaction, account: int) -> tuple[SessionRecord, ...]:
    return tuple(SessionRecord(*row) for row in tx.execute(_OF, {"account": account}))


def add_link(tx: Transaction, ws: int, account: int, *, token_hash: str, lifetime_s: float) -> None:
    values = {"ws": ws, "account": account, "hash": token_hash, "lifetime": lifetime_s}
    tx.execute(_ADD_LINK, values)


def use_link(tx: Transaction, ws: int, token_hash: str) -> int | None:
    """The account whose link this is; it cannot be used again. None for a used or old one."""
    return tx.execute(_USE_LINK, {"ws": ws, "hash": token_hash}).scalar_one_or_none()
