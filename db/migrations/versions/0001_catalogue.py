"""Workspaces, catalogues, products."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workspace",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace")),
        sa.UniqueConstraint("slug", name=op.f("uq_workspace_slug")),
    )
    op.create_table(
        "catalog_source",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Enum("snapshot", "delta", name="delivery"), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_catalog_source_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_source")),
        sa.UniqueConstraint(
            "workspace_id", "slug", name=op.f("uq_catalog_source_workspace_id_slug")
        ),
    )
    op.create_table(
        "catalog_sync",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "state", sa.Enum("running", "complete", "failed", name="sync_state"), nullable=False
        ),
        sa.Column("counts", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "rejected_reasons", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_id"], ["catalog_source.id"], name=op.f("fk_catalog_sync_source_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_catalog_sync_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_sync")),
    )
    op.create_index(
        op.f("ix_catalog_sync_source_id_id"), "catalog_sync", ["source_id", "id"], unique=False
    )
    op.create_index(
        "uq_catalog_sync_running",
        "catalog_sync",
        ["source_id"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "product",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("item_group_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column(
            "availability",
            sa.Enum(
                "in_stock", "out_of_stock", "preorder", "backorder", "unknown", name="availability"
            ),
            nullable=False,
        ),
        sa.Column("price_amount", sa.Numeric(), nullable=True),
        sa.Column("price_currency", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("seen_sync_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(price_amount IS NULL) = (price_currency IS NULL)", name=op.f("ck_product_price_whole")
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["catalog_source.id"], name=op.f("fk_product_source_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_product_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint(
            "workspace_id",
            "source_id",
            "external_id",
            name=op.f("uq_product_workspace_id_source_id_external_id"),
        ),
    )
    op.create_index(
        "ix_product_active",
        "product",
        ["workspace_id", "id"],
        unique=False,
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "rejection",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("sync_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sync_id"], ["catalog_sync.id"], name=op.f("fk_rejection_sync_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_rejection_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejection")),
    )
    op.create_index(
        op.f("ix_rejection_sync_id_line"), "rejection", ["sync_id", "line"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_rejection_sync_id_line"), table_name="rejection")
    op.drop_table("rejection")
    op.drop_index("ix_product_active", table_name="product", postgresql_where=sa.text("active"))
    op.drop_table("product")
    op.drop_index(
        "uq_catalog_sync_running",
        table_name="catalog_sync",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_index(op.f("ix_catalog_sync_source_id_id"), table_name="catalog_sync")
    op.drop_table("catalog_sync")
    op.drop_table("catalog_source")
    op.drop_table("workspace")
    op.execute("DROP TYPE delivery")
    op.execute("DROP TYPE sync_state")
    op.execute("DROP TYPE availability")
