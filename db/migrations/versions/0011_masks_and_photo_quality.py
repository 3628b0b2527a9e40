"""Versions of manual masks; what was left out of a photo; how well photos suit ads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "cutout", sa.Column("given_by", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column(
        "cutout", sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("cutout", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "product_photo",
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
    )
    op.create_table(
        "photo_quality",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("photo_sha256", sa.Text(), nullable=False),
        sa.Column("mask_sha256", sa.Text(), nullable=False),
        sa.Column("scorer_version", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"],
            ["photo.workspace_id", "photo.sha256"],
            name=op.f("fk_photo_quality_workspace_id_photo_sha256"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_photo_quality_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "photo_sha256", name=op.f("pk_photo_quality")),
    )


def downgrade() -> None:
    op.drop_table("photo_quality")
    op.drop_column("product_photo", "note")
    op.execute("DELETE FROM cutout WHERE withdrawn_at IS NOT NULL")
    op.drop_column("cutout", "withdrawn_at")
    op.drop_column("cutout", "note")
    op.drop_column("cutout", "given_by")
