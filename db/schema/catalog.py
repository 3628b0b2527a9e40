"""Workspaces, catalogues, products, photos, cutouts."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from adloom.catalog import Availability, Delivery, PhotoRole
from adloom.cutouts import MaskOrigin
from adloom.records import SyncState
from db.schema.base import Base, Created, Id, Json, WorkspaceId, enum_of

DELIVERY = enum_of(Delivery, "delivery")
AVAILABILITY = enum_of(Availability, "availability")
PHOTO_ROLE = enum_of(PhotoRole, "photo_role")
MASK_ORIGIN = enum_of(MaskOrigin, "mask_origin")
SYNC_STATE = enum_of(SyncState, "sync_state")


class Workspace(Base):
    """A brand or tenant."""

    __tablename__ = "workspace"
    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[Created]


class CatalogSource(Base):
    __tablename__ = "catalog_source"
    __table_args__ = (UniqueConstraint("workspace_id", "slug"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    slug: Mapped[str]
    kind: Mapped[str]
    location: Mapped[str]
    delivery: Mapped[Delivery] = mapped_column(DELIVERY)
    options: Mapped[Json]
    cursor: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[Created]


class CatalogSync(Base):
    """One reading of a source. Only the newest may still be running: it fences older ones."""

    __tablename__ = "catalog_sync"
    __table_args__ = (
        Index(
            "uq_catalog_sync_running",
            "source_id",
            unique=True,
            postgresql_where=text("state = 'running'"),
        ),
        Index(None, "source_id", "id"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    source_id: Mapped[int] = mapped_column(ForeignKey("catalog_source.id"))
    state: Mapped[SyncState] = mapped_column(SYNC_STATE)
    counts: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    rejected_reasons: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    error_class: Mapped[str | None]
    error_message: Mapped[str | None]
    started_at: Mapped[Created]
    ended_at: Mapped[datetime | None]


class SyncMention(Base):
    """An id that a running sync has met: `accepted` in a good row, else in rejected ones alone.

    Kept until the sync ends: it tells repeated ids, and what a snapshot lacks, without a write to
    products that say the same as before.
    """

    __tablename__ = "sync_mention"
    sync_id: Mapped[int] = mapped_column(
        ForeignKey("catalog_sync.id", ondelete="CASCADE"), primary_key=True
    )
    external_id: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[int | None]
    accepted: Mapped[bool]


class Rejection(Base):
    """A row of a catalogue that could not become a product."""

    __tablename__ = "rejection"
    __table_args__ = (Index(None, "sync_id", "line"),)
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    sync_id: Mapped[int] = mapped_column(ForeignKey("catalog_sync.id", ondelete="CASCADE"))
    line: Mapped[int]
    external_id: Mapped[str | None]
    reason: Mapped[str]
    detail: Mapped[str]


class Product(Base):
    """One sellable variant."""

    __tablename__ = "product"
    __table_args__ = (
        UniqueConstraint("workspace_id", "source_id", "external_id"),
        CheckConstraint("(price_amount IS NULL) = (price_currency IS NULL)", name="price_whole"),
        CheckConstraint(
            "(sale_price_amount IS NULL) = (sale_price_currency IS NULL)", name="sale_price_whole"
        ),
        Index("ix_product_active", "workspace_id", "id", postgresql_where=text("active")),
        Index(
            "ix_product_words",
            text("to_tsvector('simple', (title || ' ') || brand)"),
            postgresql_using="gin",
        ),
        Index(
            "ix_product_external_id",
            "workspace_id",
            "external_id",
            postgresql_ops={"external_id": "text_pattern_ops"},
        ),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    source_id: Mapped[int] = mapped_column(ForeignKey("catalog_source.id"))
    external_id: Mapped[str]
    item_group_id: Mapped[str | None]
    title: Mapped[str]
    category: Mapped[str]
    brand: Mapped[str]
    description: Mapped[str]
    link: Mapped[str]
    availability: Mapped[Availability] = mapped_column(AVAILABILITY)
    price_amount: Mapped[Decimal | None] = mapped_column(Numeric)
    price_currency: Mapped[str | None]
    sale_price_amount: Mapped[Decimal | None] = mapped_column(Numeric)
    sale_price_currency: Mapped[str | None]
    attributes: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    content_hash: Mapped[str]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Created]
    changed_at: Mapped[Created]


class Photo(Base):
    """A checked picture in the object store; shared by all products that show it."""

    __tablename__ = "photo"
    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    media_type: Mapped[str]
    created_at: Mapped[Created]


class ProductPhoto(Base):
    """A product's photo by reference: `photo_sha256` is null until it was fetched."""

    __tablename__ = "product_photo"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"], ["photo.workspace_id", "photo.sha256"]
        ),
        Index(None, "workspace_id", "photo_sha256"),
    )
    product_id: Mapped[int] = mapped_column(
        ForeignKey("product.id", ondelete="CASCADE"), primary_key=True
    )
    location: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[WorkspaceId]
    role: Mapped[PhotoRole] = mapped_column(PHOTO_ROLE)
    position: Mapped[int]
    photo_sha256: Mapped[str | None]
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    size: Mapped[int | None]
    mtime_ns: Mapped[int | None]
    linked_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default=text("''"))


class PhotoProblem(Base):
    """Why a product's photo cannot be used."""

    __tablename__ = "photo_problem"
    __table_args__ = (
        ForeignKeyConstraint(
            ["product_id", "location"],
            ["product_photo.product_id", "product_photo.location"],
            ondelete="CASCADE",
        ),
    )
    product_id: Mapped[int] = mapped_column(primary_key=True)
    location: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    detail: Mapped[str]
    created_at: Mapped[Created]


class Cutout(Base):
    """A photo's product mask; one per photo is current: manual > alpha > extracted, then newest.

    Manual masks are `manual-1`, `manual-2`, …: none is changed or deleted; `withdrawn_at` says
    since when one is no longer to be used.
    """

    __tablename__ = "cutout"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"], ["photo.workspace_id", "photo.sha256"]
        ),
        UniqueConstraint("workspace_id", "photo_sha256", "origin", "extractor_version"),
        Index(
            "uq_cutout_current",
            "workspace_id",
            "photo_sha256",
            unique=True,
            postgresql_where=text("is_current"),
        ),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_range"),
    )
    id: Mapped[Id]
    workspace_id: Mapped[WorkspaceId]
    photo_sha256: Mapped[str]
    mask_sha256: Mapped[str]
    origin: Mapped[MaskOrigin] = mapped_column(MASK_ORIGIN)
    extractor_version: Mapped[str]
    confidence: Mapped[float]
    bbox_x: Mapped[float]
    bbox_y: Mapped[float]
    bbox_width: Mapped[float]
    bbox_height: Mapped[float]
    area_fraction: Mapped[float]
    colours: Mapped[list[str]] = mapped_column(ARRAY(Text))
    given_by: Mapped[str] = mapped_column(server_default=text("''"))
    note: Mapped[str] = mapped_column(server_default=text("''"))
    withdrawn_at: Mapped[datetime | None]
    is_current: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Created]


class PhotoQuality(Base):
    """How well a photo, cut out by a mask, suits ads; `parts` say why."""

    __tablename__ = "photo_quality"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"], ["photo.workspace_id", "photo.sha256"]
        ),
    )
    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    photo_sha256: Mapped[str] = mapped_column(primary_key=True)
    mask_sha256: Mapped[str]
    scorer_version: Mapped[str]
    score: Mapped[float]
    parts: Mapped[Json]
    created_at: Mapped[Created]


class CutoutProblem(Base):
    """A photo from which one version of the extractor could make no mask."""

    __tablename__ = "cutout_problem"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "photo_sha256"], ["photo.workspace_id", "photo.sha256"]
        ),
    )
    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    photo_sha256: Mapped[str] = mapped_column(primary_key=True)
    extractor_version: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    detail: Mapped[str]
    created_at: Mapped[Created]
