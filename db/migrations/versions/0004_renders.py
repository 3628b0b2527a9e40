"""Batches, renders, renditions, scores."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "finishing_recipe",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("finish_hash", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_finishing_recipe_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "finish_hash", name=op.f("pk_finishing_recipe")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("pending", "leased", "done", "failed", "cancelled", name="batch_state"),
            server_default=sa.text("'pending'"),
            nullable=False,
        ),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
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
        sa.CheckConstraint(
            "state <> 'failed' OR error_class IS NOT NULL",
            name=op.f("ck_batch_failed_for_a_reason"),
        ),
        sa.CheckConstraint(
            "state <> 'leased' OR (lease_owner IS NOT NULL AND lease_expires_at IS NOT NULL)",
            name=op.f("ck_batch_leased_by_someone"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_batch_run_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_batch_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index(
        "ix_batch_live",
        "batch",
        ["run_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_index(op.f("ix_batch_run_id_id"), "batch", ["run_id", "id"], unique=False)
    op.create_table(
        "render",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column(
            "batch_group",
            sa.Text(),
            sa.Computed(
                "(spec->>'weights_hash') || ' ' || (spec->>'dtype') || ' ' || "
                "(spec->'native'->>'width') || 'x' || (spec->'native'->>'height')",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column(
            "reference",
            sa.Text(),
            sa.Computed("(spec->>'photo_sha256') || ' ' || (spec->>'mask_sha256')", persisted=True),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum("pending", "leased", "rendered", "failed", "cancelled", name="render_state"),
            server_default=sa.text("'pending'"),
            nullable=False,
        ),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("batch_position", sa.BigInteger(), nullable=True),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("timings", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
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
            "state <> 'failed' OR error_class IS NOT NULL",
            name=op.f("ck_render_failed_for_a_reason"),
        ),
        sa.CheckConstraint(
            "state <> 'leased' OR batch_id IS NOT NULL", name=op.f("ck_render_leased_in_batch")
        ),
        sa.CheckConstraint(
            "state <> 'rendered' OR (object_key IS NOT NULL AND sha256 IS NOT NULL)",
            name=op.f("ck_render_rendered_has_object"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_render_batch_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_render_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_render")),
        sa.UniqueConstraint(
            "workspace_id", "fingerprint", name=op.f("uq_render_workspace_id_fingerprint")
        ),
    )
    op.create_index(
        "ix_render_batch",
        "render",
        ["batch_id"],
        unique=False,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_render_queue",
        "render",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_table(
        "finishing_failure",
        sa.Column("render_id", sa.BigInteger(), nullable=False),
        sa.Column("finish_hash", sa.Text(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("error_retryable", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("blocks", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["render_id"], ["render.id"], name=op.f("fk_finishing_failure_render_id")
        ),
        sa.PrimaryKeyConstraint("render_id", "finish_hash", name=op.f("pk_finishing_failure")),
    )
    op.create_table(
        "rendition",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("render_id", sa.BigInteger(), nullable=False),
        sa.Column("finish_hash", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["render_id"], ["render.id"], name=op.f("fk_rendition_render_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_rendition_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rendition")),
        sa.UniqueConstraint(
            "workspace_id",
            "render_id",
            "finish_hash",
            name=op.f("uq_rendition_workspace_id_render_id_finish_hash"),
        ),
    )
    op.create_index(op.f("ix_rendition_object_key"), "rendition", ["object_key"], unique=False)
    op.create_table(
        "score",
        sa.Column("render_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Enum("model", "final", name="stage"), nullable=False),
        sa.Column("finish_hash", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("values", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["render_id"], ["render.id"], name=op.f("fk_score_render_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_score_workspace_id")
        ),
        sa.PrimaryKeyConstraint(
            "render_id", "stage", "finish_hash", "revision", name=op.f("pk_score")
        ),
    )


def downgrade() -> None:
    op.drop_table("score")
    op.drop_index(op.f("ix_rendition_object_key"), table_name="rendition")
    op.drop_table("rendition")
    op.drop_table("finishing_failure")
    op.drop_index(
        "ix_render_queue",
        table_name="render",
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.drop_index(
        "ix_render_batch", table_name="render", postgresql_where=sa.text("batch_id IS NOT NULL")
    )
    op.drop_table("render")
    op.drop_index(op.f("ix_batch_run_id_id"), table_name="batch")
    op.drop_index(
        "ix_batch_live",
        table_name="batch",
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.drop_table("batch")
    op.drop_table("finishing_recipe")
    op.execute("DROP TYPE batch_state")
    op.execute("DROP TYPE render_state")
    op.execute("DROP TYPE stage")
