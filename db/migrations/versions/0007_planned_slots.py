"""A slot remembers what it was planned from, and run items are inserted without locking renders.

Run items referred to creatives and renders by foreign keys: each insert then locks a row of either
by writing to it, so that a nightly run in which nothing changed rewrote both tables. The rows are
inserted by joining these tables, and a trigger now keeps what they refer to from being deleted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEEP = """
CREATE FUNCTION is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are kept: run items refer to them', TG_TABLE_NAME
        USING ERRCODE = 'foreign_key_violation';
END $$;
CREATE TRIGGER render_kept BEFORE DELETE OR TRUNCATE ON render
    FOR EACH STATEMENT EXECUTE FUNCTION is_kept();
CREATE TRIGGER creative_kept BEFORE DELETE OR TRUNCATE ON creative
    FOR EACH STATEMENT EXECUTE FUNCTION is_kept();
"""

UNKEEP = """
DROP TRIGGER creative_kept ON creative;
DROP TRIGGER render_kept ON render;
DROP FUNCTION is_kept();
"""

# The workspace of an item or creative is that of its run or campaign, to which it refers.
DROPPED = (
    ("run_item", "creative_id", "creative"),
    ("run_item", "render_id", "render"),
    ("run_item", "workspace_id", "workspace"),
    ("creative", "workspace_id", "workspace"),
)


def upgrade() -> None:
    op.add_column("creative", sa.Column("product_inputs", sa.LargeBinary(), nullable=True))
    op.add_column("creative", sa.Column("recipe_inputs", sa.LargeBinary(), nullable=True))
    op.add_column("creative", sa.Column("planned_render_id", sa.BigInteger(), nullable=True))
    op.add_column("creative", sa.Column("plan_warning", sa.Text(), nullable=True))
    for table, column, _ in DROPPED:
        op.drop_constraint(op.f(f"fk_{table}_{column}"), table, type_="foreignkey")
    op.drop_index("ix_render_queue", table_name="render")
    op.create_index(
        "ix_render_unrendered",
        "render",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state <> 'rendered'"),
    )
    op.execute(KEEP)


def downgrade() -> None:
    op.execute(UNKEEP)
    op.drop_index("ix_render_unrendered", table_name="render")
    op.create_index(
        "ix_render_queue",
        "render",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    for table, column, other in reversed(DROPPED):
        op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, other, [column], ["id"])
    for column in ("plan_warning", "planned_render_id", "recipe_inputs", "product_inputs"):
        op.drop_column("creative", column)
