"""The audit log: written once, read by pages."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from adloom.records import AuditEntry
from db.engine import Transaction
from db.text import as_json, bounded

_ADD = text("""
INSERT INTO audit_log (workspace_id, account, address, act, subject, details)
VALUES (:ws, :account, :address, :act, :subject, CAST(:details AS jsonb))
""")

_LIST = """
SELECT id, at, account, address, act, subject, details FROM audit_log
WHERE workspace_id = :ws AND id < :before {account}
ORDER BY id DESC LIMIT :limit
"""
_OF_ALL = text(_LIST.format(account=""))
_OF_ONE = text(_LIST.format(account="AND account = :account"))
_NEWEST = 2**63 - 1


def add(
    tx: Transaction,
    ws: int,
    *,
    account: str,
    address: str,
    act: str,
    subject: str,
    details: Mapping[str, Any],
) -> None:
    tx.execute(_ADD, {
        "ws": ws, "account": bounded(account), "address": bounded(address), "act": bounded(act),
        "subject": bounded(subject), "details": as_json(details),
    })  # fmt: skip


def page(
    tx: Transaction,
    ws: int,
    *,
    account: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[AuditEntry, ...]:
    """Entries, latest first, older than the entry `before`."""
    values = {"ws": ws, "account": account, "before": before or _NEWEST, "limit": limit}
    found = tx.execute(_OF_ONE if account else _OF_ALL, values)
    return tuple(AuditEntry(*row) for row in found)
