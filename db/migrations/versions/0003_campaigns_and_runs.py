"""Scene templates, campaigns, runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("model_revision", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_campaign_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("workspace_id", "slug", name=op.f("uq_campaign_workspace_id_slug")),
    )
    op.create_table(
        "scene_template",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_scene_template_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scene_template")),
        sa.UniqueConstraint(
            "workspace_id",
            "slug",
            "version",
            name=op.f("uq_scene_template_workspace_id_slug_version"),
        ),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column("weights_hash", sa.Text(), nullable=True),
        sa.Column(
            "trigger", sa.Enum("manual", "schedule", "retry", name="run_trigger"), nullable=False
        ),
        sa.Column(
            "state",
            sa.Enum(
                "planning",
                "rendering",
                "judging",
                "complete",
                "failed",
                "cancelled",
                name="run_state",
            ),
            server_default=sa.text("'planning'"),
            nullable=False,
        ),
        sa.Column("planned_slots", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prefect_flow_run_id", sa.Text(), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_run_campaign_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_run_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_campaign_id_id"), "run", ["campaign_id", "id"], unique=False)
    op.create_index(
        "ix_run_live",
        "run",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('planning', 'rendering', 'judging')"),
    )
    op.create_table(
        "run_skipped",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_run_skipped_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_run_skipped_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "product_id", "reason", name=op.f("pk_run_skipped")),
    )


def downgrade() -> None:
    op.drop_table("run_skipped")
    op.drop_index(
        "ix_run_live",
        table_name="run",
        postgresql_where=sa.text("state IN ('planning', 'rendering', 'judging')"),
    )
    op.drop_index(op.f("ix_run_campaign_id_id"), table_name="run")
    op.drop_table("run")
    op.drop_table("scene_template")
    op.drop_table("campaign")
    op.execute("DROP TYPE run_trigger")
    op.execute("DROP TYPE run_state")
