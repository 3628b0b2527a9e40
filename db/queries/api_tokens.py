"""Tokens with which programs speak for accounts."""

from sqlalchemy import text

from adloom.records import Person, SignedInBy, TokenRecord
from adloom.states import Role
from db.engine import Transaction

_ADD = text("""
INSERT INTO api_token (workspace_id, account_id, label, token_hash, expires_at)
VALUES (:ws, :account, :label, :hash, now() + make_interval(secs => :lifetime))
ON CONFLICT (account_id, label) DO UPDATE SET token_hash = excluded.token_hash,
    created_at = now(), expires_at = excluded.expires_at, used_at = NULL
""")

_FIND = text("""
SELECT t.id, a.id AS account, a.name, a.role::text AS role,
    t.used_at IS NULL OR t.used_at < now() - interval '1 minute' AS stale
FROM api_token t JOIN account a ON a.id = t.account_id
WHERE t.token_hash = :hash AND t.workspace_id = :ws AND t.expires_at > now()
    AND a.disabled_at IS NULL
""")

_USED = text("UPDATE api_token SET used_at = now() WHERE id = :id")
_REVOKE = text("DELETE FROM api_token WHERE account_id = :account AND label = :label RETURNING id")

_LIST = text("""
SELECT t.id, a.name, t.label, t.created_at, t.expires_at, t.used_at
FROM api_token t JOIN account a ON a.id = t.account_id
WHERE t.workspace_id = :ws ORDER BY a.name, t.label LIMIT 1000
""")


def add(
    tx: Transaction, ws: int, account: int, *, label: str, token_hash: str, lifetime_s: float
) -> None:
    """A new token; one of the same label is replaced."""
    tx.execute(_ADD, {
        "ws": ws, "account": account, "label": label, "hash": token_hash, "lifetime": lifetime_s,
    })  # fmt: skip


def find(tx: Transaction, ws: int, token_hash: str) -> Person | None:
    """For whom the token speaks, unless it has expired or the account is disabled."""
    row = tx.execute(_FIND, {"ws": ws, "hash": token_hash}).one_or_none()
    if row is None:
        return None
    if row.stale:
        tx.execute(_USED, {"id": row.id})
    return Person(row.account, row.name, Role(row.role), SignedInBy.TOKEN, row.id)


def revoke(tx: Transaction, account: int, label: str) -> bool:
    values = {"account": account, "label": label}
    return tx.execute(_REVOKE, values).scalar_one_or_none() is not None


def list_all(tx: Transaction, ws: int) -> tuple[TokenRecord, ...]:
    return tuple(TokenRecord(*row) for row in tx.execute(_LIST, {"ws": ws}))
