"""Workers, the attempts at each batch, and how batches are submitted to a fleet."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("working", "draining", "stopped", name="worker_state"),
            server_default=sa.text("'working'"),
            nullable=False,
        ),
        sa.Column("stats", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_worker_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_worker_workspace_id_name")),
    )
    op.create_table(
        "batch_attempt",
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("renders", sa.BigInteger(), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "ending",
            sa.Enum(
                "finished",
                "returned",
                "drained",
                "failed",
                "crashed",
                "lost",
                "evicted",
                name="attempt_ending",
            ),
            nullable=True,
        ),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ending IS NULL)", name=op.f("ck_batch_attempt_ended_somehow")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_batch_attempt_batch_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_batch_attempt_workspace_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", "epoch", name=op.f("pk_batch_attempt")),
    )
    op.add_column("batch", sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "batch",
        sa.Column("submissions", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("batch", sa.Column("taken_by", sa.Text(), nullable=True))
    op.add_column("batch", sa.Column("split_from", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_batch_split_from"), "batch", "batch", ["split_from"], ["id"])
    op.add_column("run", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("run", "paused_at")
    op.drop_constraint(op.f("fk_batch_split_from"), "batch", type_="foreignkey")
    for column in ("split_from", "taken_by", "submissions", "submitted_at"):
        op.drop_column("batch", column)
    op.drop_table("batch_attempt")
    op.drop_table("worker")
    op.execute("DROP TYPE attempt_ending")
    op.execute("DROP TYPE worker_state")
