"""Sources remember how far they were read; products keep what their variants differ by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    empty = sa.text("'{}'")
    op.add_column(
        "catalog_source",
        sa.Column("cursor", postgresql.JSONB(), server_default=empty, nullable=False),
    )
    op.add_column(
        "product",
        sa.Column("attributes", postgresql.JSONB(), server_default=empty, nullable=False),
    )
    op.add_column("product", sa.Column("sale_price_amount", sa.Numeric(), nullable=True))
    op.add_column("product", sa.Column("sale_price_currency", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_product_sale_price_whole"),
        "product",
        "(sale_price_amount IS NULL) = (sale_price_currency IS NULL)",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_product_sale_price_whole"), "product", type_="check")
    op.drop_column("product", "sale_price_currency")
    op.drop_column("product", "sale_price_amount")
    op.drop_column("product", "attributes")
    op.drop_column("catalog_source", "cursor")
