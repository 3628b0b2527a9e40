"""Accounts of the dashboard, and failed sign-ins."""

from sqlalchemy import text

from adloom.errors import ConflictError
from adloom.records import AccountRecord
from adloom.states import Role
from db.engine import Transaction
from db.near import not_found
from db.text import storable

_COLUMNS = """
a.id, a.name, a.role::text AS role, a.password_hash IS NOT NULL AS has_password, a.subject,
a.disabled_at, a.created_at,
(SELECT max(s.seen_at) FROM account_session s WHERE s.account_id = a.id) AS seen_at
"""
_LIST = text(f"SELECT {_COLUMNS} FROM account a WHERE a.workspace_id = :ws ORDER BY a.name")
_BY_NAME = text(f"SELECT {_COLUMNS} FROM account a WHERE a.workspace_id = :ws AND a.name = :name")
_BY_ID = text(f"SELECT {_COLUMNS} FROM account a WHERE a.workspace_id = :ws AND a.id = :id")
_BY_SUBJECT = text(
    f"SELECT {_COLUMNS} FROM account a WHERE a.workspace_id = :ws AND a.subject = :subject"
)
_NAMES = text("SELECT name FROM account WHERE workspace_id = :ws")
_ANY = text("SELECT EXISTS (SELECT FROM account WHERE workspace_id = :ws AND disabled_at IS NULL)")
_HASH = text("""
SELECT id, password_hash FROM account
WHERE workspace_id = :ws AND name = :name AND disabled_at IS NULL
""")

_ADD = text("""
INSERT INTO account (workspace_id, name, role, password_hash, subject)
VALUES (:ws, :name, CAST(:role AS account_role), :hash, :subject)
ON CONFLICT DO NOTHING RETURNING id
""")
_SET_PASSWORD = text("UPDATE account SET password_hash = :hash WHERE id = :id")
_SET_ROLE = text("UPDATE account SET role = CAST(:role AS account_role) WHERE id = :id")
_SET_DISABLED = text("""
UPDATE account SET disabled_at = CASE WHEN :disabled THEN coalesce(disabled_at, now()) END
WHERE id = :id
""")

_FORGET_OLD = text("DELETE FROM sign_in_failure WHERE at < now() - interval '1 day'")
_TRY = text("""
INSERT INTO sign_in_failure (workspace_id, name, address) VALUES (:ws, :name, :address)
RETURNING id
""")
_TRIES = text("""
SELECT count(*) FILTER (WHERE name = :name AND address = :address) AS both,
    count(*) FILTER (WHERE address = :address) AS address,
    count(*) FILTER (WHERE name = :name) AS name
FROM sign_in_failure
WHERE workspace_id = :ws AND (name = :name OR address = :address)
    AND at > now() - make_interval(secs => :within)
""")
_SUCCEEDED = text("""
DELETE FROM sign_in_failure WHERE workspace_id = :ws AND name = :name AND address = :address
""")


def add(
    tx: Transaction,
    ws: int,
    name: str,
    role: Role,
    *,
    password_hash: str | None = None,
    subject: str | None = None,
) -> int:
    """A new account. Raises ConflictError if there is one of that name."""
    found = tx.execute(_ADD, {
        "ws": ws, "name": name, "role": role.value, "hash": password_hash, "subject": subject,
    }).scalar_one_or_none()  # fmt: skip
    if found is None:
        raise ConflictError(f"there is an account '{name}' already")
    return found


def list_all(tx: Transaction, ws: int) -> tuple[AccountRecord, ...]:
    return tuple(_record(row) for row in tx.execute(_LIST, {"ws": ws}))


def get(tx: Transaction, ws: int, name: str) -> AccountRecord:
    """Raises NotFoundError naming near matches."""
    row = tx.execute(_BY_NAME, {"ws": ws, "name": storable(name)}).one_or_none()
    if row is None:
        raise not_found("account", [name], tx.execute(_NAMES, {"ws": ws}).scalars())
    return _record(row)


def by_id(tx: Transaction, ws: int, account: int) -> AccountRecord:
    return _record(tx.execute(_BY_ID, {"ws": ws, "id": account}).one())


def by_subject(tx: Transaction, ws: int, subject: str) -> AccountRecord | None:
    """The account of an identity at an OpenID provider."""
    row = tx.execute(_BY_SUBJECT, {"ws": ws, "subject": storable(subject)}).one_or_none()
    return _record(row) if row else None


def exist(tx: Transaction, ws: int) -> bool:
    """Whether anybody could sign in."""
    return bool(tx.execute(_ANY, {"ws": ws}).scalar_one())


def password_of(tx: Transaction, ws: int, name: str) -> tuple[int, str | None] | None:
    """The id and the password's hash of an account that is not disabled."""
    row = tx.execute(_HASH, {"ws": ws, "name": storable(name)}).one_or_none()
    return (row.id, row.password_hash) if row else None


def set_password(tx: Transaction, account: int, password_hash: str) -> None:
    tx.execute(_SET_PASSWORD, {"id": account, "hash": password_hash})


def set_role(tx: Transaction, account: int, role: Role) -> None:
    tx.execute(_SET_ROLE, {"id": account, "role": role.value})


def set_disabled(tx: Transaction, account: int, disabled: bool) -> None:
    tx.execute(_SET_DISABLED, {"id": account, "disabled": disabled})


def note_attempt(tx: Transaction, ws: int, name: str, address: str) -> None:
    """Counts a sign-in as failed until `forget_attempts` says otherwise."""
    tx.execute(_FORGET_OLD)
    tx.execute(_TRY, {"ws": ws, "name": storable(name), "address": storable(address)})


def attempts(
    tx: Transaction, ws: int, name: str, address: str, *, within_s: float
) -> tuple[int, int, int]:
    """Failed sign-ins of late: of this name from this address, from this address, of this name."""
    row = tx.execute(_TRIES, {
        "ws": ws, "name": storable(name), "address": storable(address), "within": within_s,
    }).one()  # fmt: skip
    return row.both, row.address, row.name


def forget_attempts(tx: Transaction, ws: int, name: str, address: str) -> None:
    tx.execute(_SUCCEEDED, {"ws": ws, "name": storable(name), "address": storable(address)})


def _record(row: object) -> AccountRecord:
    identity, name, role, *rest = tuple(row)  # pyright: ignore[reportArgumentType]
    return AccountRecord(identity, name, Role(role), *rest)
