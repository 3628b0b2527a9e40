"""Recalls: creatives that must not be used, by whom, when and why."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

APPEND_ONLY = """
CREATE FUNCTION recall_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'recalls are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER recall_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON recall
    FOR EACH STATEMENT EXECUTE FUNCTION recall_is_append_only();
CREATE TRIGGER recall_creative_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON recall_creative
    FOR EACH STATEMENT EXECUTE FUNCTION recall_is_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "recall",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("undo", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("scene", sa.Text(), nullable=True),
        sa.Column("campaign", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_recall_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall")),
    )
    op.create_index(op.f("ix_recall_workspace_id_id"), "recall", ["workspace_id", "id"])
    op.create_table(
        "recall_creative",
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("creative_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recall_id"], ["recall.id"], name=op.f("fk_recall_creative_recall_id")
        ),
        sa.PrimaryKeyConstraint("recall_id", "creative_id", name=op.f("pk_recall_creative")),
    )
    op.create_index(op.f("ix_recall_creative_creative_id"), "recall_creative", ["creative_id"])
    op.execute(APPEND_ONLY)
    op.add_column("creative", sa.Column("recall_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_creative_recall_id"), "creative", "recall", ["recall_id"], ["id"]
    )


def downgrade() -> None:
    op.drop_constraint(op.f("fk_creative_recall_id"), "creative", type_="foreignkey")
    op.drop_column("creative", "recall_id")
    op.drop_table("recall_creative")
    op.drop_table("recall")
    op.execute("DROP FUNCTION recall_is_append_only()")
