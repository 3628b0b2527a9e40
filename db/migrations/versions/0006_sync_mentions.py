"""What a sync has met is kept beside the products, not in them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sync_mention",
        sa.Column("sync_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=True),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sync_id"],
            ["catalog_sync.id"],
            name=op.f("fk_sync_mention_sync_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sync_id", "external_id", name=op.f("pk_sync_mention")),
    )
    op.drop_column("product", "seen_sync_id")


def downgrade() -> None:
    # No sync is 0: the next complete snapshot marks anew what it names.
    op.add_column(
        "product",
        sa.Column("seen_sync_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.alter_column("product", "seen_sync_id", server_default=None)
    op.drop_table("sync_mention")
