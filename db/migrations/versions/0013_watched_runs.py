"""Every failure of a render kept; why a run stopped early; what runs tell to webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# A render's row has its last error alone: whoever fails it, the one before is kept here.
KEEP_FAILURES = """
CREATE FUNCTION keep_render_failure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO render_failure (render_id, batch_id, attempts, error_class, error_message,
        error_retryable)
    VALUES (NEW.id, NEW.batch_id, NEW.attempts, NEW.error_class, coalesce(NEW.error_message, ''),
        coalesce(NEW.error_retryable, false));
    RETURN NULL;
END $$;
CREATE TRIGGER render_failure_kept AFTER UPDATE OF state ON render FOR EACH ROW
    WHEN (NEW.state = 'failed' AND OLD.state <> 'failed') EXECUTE FUNCTION keep_render_failure();
"""


def upgrade() -> None:
    op.create_table(
        "render_failure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("render_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("error_retryable", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["render_id"], ["render.id"], name=op.f("fk_render_failure_render_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_render_failure")),
    )
    op.create_index(op.f("ix_render_failure_render_id_id"), "render_failure", ["render_id", "id"])
    op.execute(KEEP_FAILURES)
    op.add_column("run", sa.Column("stopped_for", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("spent_since", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "run_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "event_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=True,
        ),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_event_run_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_run_event_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_event")),
        sa.UniqueConstraint("event_id", name=op.f("uq_run_event_event_id")),
        sa.UniqueConstraint(
            "run_id", "event", "occasion", name=op.f("uq_run_event_run_id_event_occasion")
        ),
    )
    op.create_index(
        "ix_run_event_due",
        "run_event",
        ["workspace_id", "next_attempt_at"],
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("run_event")
    op.drop_column("run", "spent_since")
    op.drop_column("run", "stopped_for")
    op.execute("DROP TRIGGER render_failure_kept ON render")
    op.execute("DROP FUNCTION keep_render_failure()")
    op.drop_table("render_failure")
