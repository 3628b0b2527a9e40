"""Accounts of the dashboard, sessions, API tokens, the audit log."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROLES = ("viewer", "reviewer", "operator", "admin")
APPEND_ONLY = """
CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
"""


def upgrade() -> None:
    _account()
    _of_account(
        "account_session",
        _text("token_hash"),
        _text("address"),
        _text("browser"),
        _time("created_at", now=True),
        _time("seen_at", now=True),
        _time("expires_at"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_account_session_token_hash")),
    )
    op.create_index(op.f("ix_account_session_account_id"), "account_session", ["account_id"])
    _of_account(
        "api_token",
        _text("label"),
        _text("token_hash"),
        _time("created_at", now=True),
        _time("expires_at"),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
        sa.UniqueConstraint("account_id", "label", name=op.f("uq_api_token_account_id_label")),
    )
    _of_account(
        "sign_in_link",
        _text("token_hash"),
        _time("expires_at"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_in_link_token_hash")),
    )
    _of_workspace("sign_in_failure", _text("name"), _text("address"), _time("at", now=True))
    for column in ("name", "address"):
        op.create_index(
            op.f(f"ix_sign_in_failure_workspace_id_{column}_at"),
            "sign_in_failure",
            ["workspace_id", column, "at"],
        )
    _audit_log()


def downgrade() -> None:
    for table in (
        "audit_log", "sign_in_failure", "sign_in_link", "api_token", "account_session", "account",
    ):  # fmt: skip
        op.drop_table(table)
    op.execute("DROP FUNCTION audit_log_is_append_only()")
    op.execute("DROP TYPE account_role")


def _account() -> None:
    _of_workspace(
        "account",
        _text("name"),
        sa.Column("role", sa.Enum(*ROLES, name="account_role"), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        _time("created_at", now=True),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_account_workspace_id_name")),
        sa.UniqueConstraint(
            "workspace_id", "subject", name=op.f("uq_account_workspace_id_subject")
        ),
    )


def _audit_log() -> None:
    _of_workspace(
        "audit_log",
        _time("at", now=True),
        *map(_text, ("account", "address", "act", "subject")),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("act <> ''", name=op.f("ck_audit_log_act")),
    )
    op.create_index(op.f("ix_audit_log_workspace_id_id"), "audit_log", ["workspace_id", "id"])
    op.create_index(
        op.f("ix_audit_log_workspace_id_account_id"),
        "audit_log",
        ["workspace_id", "account", "id"],
    )
    op.execute(APPEND_ONLY)


def _of_account(table: str, *parts: Any) -> None:
    _of_workspace(
        table,
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f(f"fk_{table}_account_id")
        ),
        *parts,
    )


def _of_workspace(table: str, *parts: Any) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f(f"fk_{table}_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        *parts,
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _time(name: str, *, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=False)
