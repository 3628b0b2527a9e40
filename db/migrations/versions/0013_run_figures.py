"""Figures of runs for pages; products found by their words and ids."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_RUN_STATE = postgresql.ENUM(name="run_state", create_type=False)
_OUTCOME = postgresql.ENUM(name="outcome", create_type=False)


def upgrade() -> None:
    op.create_table(
        "run_figures",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("state", _RUN_STATE, nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_s", sa.Double(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_run_figures_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_run_figures_workspace_id")
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_figures")),
    )
    op.create_table(
        "run_yield",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("outcome", _OUTCOME, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column(
            "examples",
            postgresql.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_run_yield_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_run_yield_workspace_id")
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "dimension", "value", "outcome", name=op.f("pk_run_yield")
        ),
    )
    op.create_index(
        op.f("ix_run_yield_workspace_id_dimension_run_id"),
        "run_yield",
        ["workspace_id", "dimension", "run_id"],
    )
    op.execute(
        "CREATE INDEX ix_product_words ON product "
        "USING gin (to_tsvector('simple', title || ' ' || brand))"
    )
    op.execute(
        "CREATE INDEX ix_product_external_id ON product "
        "(workspace_id, external_id text_pattern_ops)"
    )


def downgrade() -> None:
    op.drop_index("ix_product_external_id", table_name="product")
    op.drop_index("ix_product_words", table_name="product")
    op.drop_table("run_yield")
    op.drop_table("run_figures")
