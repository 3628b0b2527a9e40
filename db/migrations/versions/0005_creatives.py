"""Creatives, reviews, run items, verdicts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

REVIEW_IS_APPEND_ONLY = """
CREATE FUNCTION review_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'reviews are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER review_append_only BEFORE UPDATE OR DELETE ON review
    FOR EACH ROW EXECUTE FUNCTION review_is_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "creative",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "photo_role",
            postgresql.ENUM("main", "additional", name="photo_role", create_type=False),
            nullable=False,
        ),
        sa.Column("scene_slug", sa.Text(), nullable=False),
        sa.Column("format_slug", sa.Text(), nullable=False),
        sa.Column("variant", sa.BigInteger(), nullable=False),
        sa.Column("current_render_id", sa.BigInteger(), nullable=True),
        sa.Column("current_rendition_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("variant >= 0", name=op.f("ck_creative_variant_range")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_creative_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["current_render_id"], ["render.id"], name=op.f("fk_creative_current_render_id")
        ),
        sa.ForeignKeyConstraint(
            ["current_rendition_id"],
            ["rendition.id"],
            name=op.f("fk_creative_current_rendition_id"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_creative_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_creative_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_creative")),
        sa.UniqueConstraint(
            "workspace_id",
            "campaign_id",
            "product_id",
            "photo_role",
            "scene_slug",
            "format_slug",
            "variant",
            name="uq_creative_slot",
        ),
    )
    op.create_index(op.f("ix_creative_product_id"), "creative", ["product_id"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("creative_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("decision", sa.Enum("approve", "reject", name="review_decision"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["creative_id"], ["creative.id"], name=op.f("fk_review_creative_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_review_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(
        op.f("ix_review_creative_id_image_sha256_id"),
        "review",
        ["creative_id", "image_sha256", "id"],
        unique=False,
    )
    op.create_table(
        "run_item",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("creative_id", sa.BigInteger(), nullable=False),
        sa.Column("render_id", sa.BigInteger(), nullable=False),
        sa.Column("scene_version", sa.BigInteger(), nullable=False),
        sa.Column("draw", sa.BigInteger(), nullable=False),
        sa.Column("finish_hash", sa.Text(), nullable=False),
        sa.Column("disposition", sa.Enum("new", "reused", name="disposition"), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "open",
                "approved",
                "rejected",
                "needs_review",
                "failed",
                "cancelled",
                "superseded",
                name="outcome",
            ),
            server_default=sa.text("'open'"),
            nullable=False,
        ),
        sa.Column("warning", sa.Text(), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_retryable", sa.Boolean(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "outcome <> 'failed' OR (error_class IS NOT NULL AND error_message IS NOT NULL)",
            name=op.f("ck_run_item_failed_for_a_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["creative_id"], ["creative.id"], name=op.f("fk_run_item_creative_id")
        ),
        sa.ForeignKeyConstraint(["render_id"], ["render.id"], name=op.f("fk_run_item_render_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_item_run_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_run_item_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_item")),
        sa.UniqueConstraint(
            "run_id", "creative_id", "draw", name=op.f("uq_run_item_run_id_creative_id_draw")
        ),
    )
    op.create_index(
        op.f("ix_run_item_creative_id_id"), "run_item", ["creative_id", "id"], unique=False
    )
    op.create_index(
        "ix_run_item_failed",
        "run_item",
        ["workspace_id", "id"],
        unique=False,
        postgresql_where=sa.text("outcome = 'failed'"),
    )
    op.create_index(
        "ix_run_item_open",
        "run_item",
        ["run_id", "render_id"],
        unique=False,
        postgresql_where=sa.text("outcome = 'open'"),
    )
    op.create_index(op.f("ix_run_item_render_id"), "run_item", ["render_id"], unique=False)
    op.create_index(
        "uq_run_item_live",
        "run_item",
        ["run_id", "creative_id"],
        unique=True,
        postgresql_where=sa.text("outcome <> 'superseded'"),
    )
    op.create_table(
        "verdict",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("run_item_id", sa.BigInteger(), nullable=False),
        sa.Column("gate_set_hash", sa.Text(), nullable=False),
        sa.Column(
            "decision",
            sa.Enum("approved", "rejected", "needs_review", name="decision"),
            nullable=False,
        ),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["run_item_id"], ["run_item.id"], name=op.f("fk_verdict_run_item_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_verdict_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
        sa.UniqueConstraint(
            "run_item_id", "gate_set_hash", name=op.f("uq_verdict_run_item_id_gate_set_hash")
        ),
    )

    op.execute(REVIEW_IS_APPEND_ONLY)


def downgrade() -> None:
    op.drop_table("verdict")
    op.drop_index(
        "uq_run_item_live",
        table_name="run_item",
        postgresql_where=sa.text("outcome <> 'superseded'"),
    )
    op.drop_index(op.f("ix_run_item_render_id"), table_name="run_item")
    op.drop_index(
        "ix_run_item_open", table_name="run_item", postgresql_where=sa.text("outcome = 'open'")
    )
    op.drop_index(
        "ix_run_item_failed", table_name="run_item", postgresql_where=sa.text("outcome = 'failed'")
    )
    op.drop_index(op.f("ix_run_item_creative_id_id"), table_name="run_item")
    op.drop_table("run_item")
    op.drop_index(op.f("ix_review_creative_id_image_sha256_id"), table_name="review")
    op.drop_table("review")
    op.drop_index(op.f("ix_creative_product_id"), table_name="creative")
    op.drop_table("creative")
    op.execute("DROP TYPE review_decision")
    op.execute("DROP TYPE disposition")
    op.execute("DROP TYPE outcome")
    op.execute("DROP TYPE decision")
    op.execute("DROP FUNCTION review_is_append_only()")
