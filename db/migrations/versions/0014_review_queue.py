"""What waits for a person's word, in the order it is shown; reviews sent twice are added once, and
can be taken back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# What waits already: the newest live items that need review.
FILL = """
INSERT INTO review_queue (creative_id, workspace_id, run_item_id, image_sha256, distance,
    campaign_id, scene_slug, category, reasons, scores)
SELECT c.id, i.workspace_id, i.id, d.sha256,
    (SELECT coalesce(min(least(abs(x.value - x.min), abs(x.value - x.max))), 'Infinity')
        FROM jsonb_to_recordset(v.reasons) AS x(value float8, min float8, max float8)),
    c.campaign_id, c.scene_slug, p.category,
    ARRAY(SELECT x->>'code' FROM jsonb_array_elements(v.reasons) AS x),
    coalesce((SELECT jsonb_object_agg(s.stage || '.' || kv.key, kv.value ORDER BY s.created_at)
        FROM score s CROSS JOIN jsonb_each(s.values) AS kv
        WHERE s.render_id = i.render_id AND s.finish_hash IN ('raw', i.finish_hash)), '{}')
FROM run_item i
JOIN creative c ON c.id = i.creative_id
JOIN product p ON p.id = c.product_id
JOIN rendition d ON d.workspace_id = i.workspace_id AND d.render_id = i.render_id
    AND d.finish_hash = i.finish_hash
JOIN LATERAL (
    SELECT w.reasons FROM verdict w WHERE w.run_item_id = i.id
    ORDER BY w.created_at DESC, w.id DESC LIMIT 1
) v ON true
WHERE i.outcome = 'needs_review' AND NOT EXISTS (
    SELECT FROM run_item n WHERE n.creative_id = c.id AND n.id > i.id AND n.outcome <> 'superseded')
"""

# A value of an enum cannot be dropped: the type is made anew, without what the value says.
FORGET_UNDONE = """
ALTER TABLE review DISABLE TRIGGER review_append_only;
DELETE FROM review r WHERE decision = 'undo' OR EXISTS (
    SELECT FROM review u WHERE u.creative_id = r.creative_id AND u.image_sha256 = r.image_sha256
        AND u.decision = 'undo' AND u.id > r.id);
ALTER TABLE review ENABLE TRIGGER review_append_only;
ALTER TYPE review_decision RENAME TO review_decision_before;
CREATE TYPE review_decision AS ENUM ('approve', 'reject');
ALTER TABLE review ALTER COLUMN decision TYPE review_decision
    USING CAST(CAST(decision AS text) AS review_decision);
DROP TYPE review_decision_before;
"""


def upgrade() -> None:
    op.execute("ALTER TYPE review_decision ADD VALUE IF NOT EXISTS 'undo'")
    op.add_column("review", sa.Column("key", sa.Text(), nullable=True))
    op.create_index(
        "uq_review_key",
        "review",
        ["workspace_id", "key", "creative_id"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_table(
        "review_queue",
        sa.Column("creative_id", sa.BigInteger(), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("run_item_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.Text(), nullable=False),
        sa.Column("distance", sa.Double(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("scene_slug", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("scores", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(claimed_by IS NULL) = (claimed_until IS NULL)",
            name=op.f("ck_review_queue_claimed_until_some_time"),
        ),
        sa.ForeignKeyConstraint(
            ["creative_id"], ["creative.id"], name=op.f("fk_review_queue_creative_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_review_queue_workspace_id")
        ),
        sa.PrimaryKeyConstraint("creative_id", name=op.f("pk_review_queue")),
    )
    op.execute(FILL)
    for columns in (
        ["workspace_id", "distance", "creative_id"],
        ["workspace_id", "campaign_id", "distance", "creative_id"],
        ["workspace_id", "scene_slug", "distance", "creative_id"],
        ["workspace_id", "category", "distance", "creative_id"],
    ):
        op.create_index(op.f(f"ix_review_queue_{'_'.join(columns)}"), "review_queue", columns)
    op.create_index(
        op.f("ix_review_queue_reasons"), "review_queue", ["reasons"], postgresql_using="gin"
    )


def downgrade() -> None:
    op.drop_table("review_queue")
    op.drop_index("uq_review_key", table_name="review")
    op.drop_column("review", "key")
    op.execute(FORGET_UNDONE)
