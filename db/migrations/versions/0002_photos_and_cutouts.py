"""Photos and cutouts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "photo",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_photo_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "sha256", name=op.f("pk_photo")),
    )
    op.create_table(
        "cutout",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("photo_sha256", sa.Text(), nullable=False),
        sa.Column("mask_sha256", sa.Text(), nullable=False),
        sa.Column(
            "origin", sa.Enum("alpha", "extracted", "manual", name="mask_origin"), nullable=False
        ),
        sa.Column("extractor_version", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("bbox_x", sa.Double(), nullable=False),
        sa.Column("bbox_y", sa.Double(), nullable=False),
        sa.Column("bbox_width", sa.Double(), nullable=False),
        sa.Column("bbox_height", sa.Double(), nullable=False),
        sa.Column("area_fraction", sa.Double(), nullable=False),
        sa.Column("colours", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("is_current", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name=op.f("ck_cutout_confidence_range")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"],
            ["photo.workspace_id", "photo.sha256"],
            name=op.f("fk_cutout_workspace_id_photo_sha256"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_cutout_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cutout")),
        sa.UniqueConstraint(
            "workspace_id",
            "photo_sha256",
            "origin",
            "extractor_version",
            name=op.f("uq_cutout_workspace_id_photo_sha256_origin_extractor_version"),
        ),
    )
    op.create_index(
        "uq_cutout_current",
        "cutout",
        ["workspace_id", "photo_sha256"],
        unique=True,
        postgresql_where=sa.text("is_current"),
    )
    op.create_table(
        "cutout_problem",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("photo_sha256", sa.Text(), nullable=False),
        sa.Column("extractor_version", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"],
            ["photo.workspace_id", "photo.sha256"],
            name=op.f("fk_cutout_problem_workspace_id_photo_sha256"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_cutout_problem_workspace_id")
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "photo_sha256", "extractor_version", name=op.f("pk_cutout_problem")
        ),
    )
    op.create_table(
        "product_photo",
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Enum("main", "additional", name="photo_role"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("photo_sha256", sa.Text(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"],
            ["product.id"],
            name=op.f("fk_product_photo_product_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"],
            ["photo.workspace_id", "photo.sha256"],
            name=op.f("fk_product_photo_workspace_id_photo_sha256"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_product_photo_workspace_id")
        ),
        sa.PrimaryKeyConstraint("product_id", "location", name=op.f("pk_product_photo")),
    )
    op.create_index(
        op.f("ix_product_photo_workspace_id_photo_sha256"),
        "product_photo",
        ["workspace_id", "photo_sha256"],
        unique=False,
    )
    op.create_table(
        "photo_problem",
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["product_id", "location"],
            ["product_photo.product_id", "product_photo.location"],
            name=op.f("fk_photo_problem_product_id_location"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("product_id", "location", name=op.f("pk_photo_problem")),
    )


def downgrade() -> None:
    op.drop_table("photo_problem")
    op.drop_index(op.f("ix_product_photo_workspace_id_photo_sha256"), table_name="product_photo")
    op.drop_table("product_photo")
    op.drop_table("cutout_problem")
    op.drop_index("uq_cutout_current", table_name="cutout", postgresql_where=sa.text("is_current"))
    op.drop_table("cutout")
    op.drop_table("photo")
    op.execute("DROP TYPE mask_origin")
    op.execute("DROP TYPE photo_role")
