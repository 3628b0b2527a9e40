"""What is handed to a fleet is found among hundred thousands of batches that wait."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_batch_submitted",
        "batch",
        ["workspace_id", "id"],
        postgresql_where=sa.text("state IN ('pending', 'leased') AND submitted_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_batch_submitted", table_name="batch")
