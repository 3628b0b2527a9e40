"""What metrics count without reading whole tables: ended attempts, renders that ended badly."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_batch_attempt_workspace_id_ended_at"),
        "batch_attempt",
        ["workspace_id", "ended_at"],
    )
    op.create_index(
        "ix_render_ended_badly",
        "render",
        ["workspace_id", "state"],
        postgresql_where=sa.text("state IN ('failed', 'cancelled')"),
    )


def downgrade() -> None:
    op.drop_index("ix_render_ended_badly", table_name="render")
    op.drop_index(op.f("ix_batch_attempt_workspace_id_ended_at"), table_name="batch_attempt")
