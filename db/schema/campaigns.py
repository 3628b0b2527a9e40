"""Scene templates, campaigns, and the slots they ask for."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from adloom.catalog import PhotoRole
from adloom.states import ReviewDecision
from db.schema.base import Base, Created, Id, Json, WorkspaceId, enum_of
from db.schema.catalog import PHOTO_ROLE

REVIEW_DECISION = enum_of(ReviewDecision, "review_decision")


class SceneTemplate(Base):
    """A version of a scene; its content never changes."""

    __tablename__ = "scene_template"
    __table_args__ = (UniqueConstraint("workspace_id", "slug", "version"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    slug: Mapped[str]
    version: Mapped[int]
    pack: Mapped[str]
    title: Mapped[str]
    body: Mapped[Json]
    content_hash: Mapped[str]
    created_at: Mapped[Created]


class Campaign(Base):
    """What to make, as last applied. `model_revision`: the hash of the weights that its first run
    since then pinned it to; null before."""

    __tablename__ = "campaign"
    __table_args__ = (UniqueConstraint("workspace_id", "slug"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    slug: Mapped[str]
    title: Mapped[str]
    spec: Mapped[Json]
    content_hash: Mapped[str]
    model_revision: Mapped[str | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Created]


class Creative(Base):
    """A slot of a campaign. Its current render and rendition are those last approved.

    `product_inputs` and `recipe_inputs` (`SlotInputs`) are what its first draw was last planned
    from, `planned_render_id` and `plan_warning` what came of it. While `recall_id` is set it is
    recalled: nothing is made of it, and it is not exported.
    """

    __tablename__ = "creative"
    __table_args__ = (
        UniqueConstraint(
            "workspace_id",
            "campaign_id",
            "product_id",
            "photo_role",
            "scene_slug",
            "format_slug",
            "variant",
            name="uq_creative_slot",
        ),
        CheckConstraint("variant >= 0", name="variant_range"),
        Index(None, "product_id"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[int]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    photo_role: Mapped[PhotoRole] = mapped_column(PHOTO_ROLE)
    scene_slug: Mapped[str]
    format_slug: Mapped[str]
    variant: Mapped[int]
    current_render_id: Mapped[int | None] = mapped_column(ForeignKey("render.id"))
    current_rendition_id: Mapped[int | None] = mapped_column(ForeignKey("rendition.id"))
    product_inputs: Mapped[bytes | None]
    recipe_inputs: Mapped[bytes | None]
    planned_render_id: Mapped[int | None]
    plan_warning: Mapped[str | None]
    recall_id: Mapped[int | None] = mapped_column(ForeignKey("recall.id"))
    created_at: Mapped[Created]


class Review(Base):
    """A person's word on one image of a creative. Append-only: a trigger refuses changes.

    `key` is given by who sends it, so that what is sent twice is added once; the reviews of one
    bulk decision share it.
    """

    __tablename__ = "review"
    __table_args__ = (
        Index(None, "creative_id", "image_sha256", "id"),
        Index(
            "uq_review_key",
            "workspace_id",
            "key",
            "creative_id",
            unique=True,
            postgresql_where=text("key IS NOT NULL"),
        ),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    creative_id: Mapped[int] = mapped_column(ForeignKey("creative.id"))
    image_sha256: Mapped[str]
    reviewer: Mapped[str]
    decision: Mapped[ReviewDecision] = mapped_column(REVIEW_DECISION)
    reason: Mapped[str]
    created_at: Mapped[Created]
    key: Mapped[str | None]


class ReviewQueue(Base):
    """A creative whose newest image waits for a person's word, with what the queue is ordered and
    filtered by: a copy of what its verdict said.

    `distance`: of its scores to the gates they nearly missed or met; infinite where a score is
    missing. While `claimed_until` lies ahead it is shown to `claimed_by` alone.
    """

    __tablename__ = "review_queue"
    __table_args__ = (
        Index(None, "workspace_id", "distance", "creative_id"),
        Index(None, "workspace_id", "campaign_id", "distance", "creative_id"),
        Index(None, "workspace_id", "scene_slug", "distance", "creative_id"),
        Index(None, "workspace_id", "category", "distance", "creative_id"),
        Index(None, "reasons", postgresql_using="gin"),
        CheckConstraint(
            "(claimed_by IS NULL) = (claimed_until IS NULL)", name="claimed_until_some_time"
        ),
    )
    creative_id: Mapped[int] = mapped_column(ForeignKey("creative.id"), primary_key=True)
    workspace_id: Mapped[WorkspaceId]
    run_item_id: Mapped[int]
    image_sha256: Mapped[str]
    distance: Mapped[float]
    campaign_id: Mapped[int]
    scene_slug: Mapped[str]
    category: Mapped[str]
    reasons: Mapped[list[str]] = mapped_column(ARRAY(Text))
    scores: Mapped[Json]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[Created]
