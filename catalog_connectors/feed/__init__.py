"""Product feeds: files of any of the usual formats, from a folder, over HTTP or from S3."""

from catalog_connectors.feed.options import FeedOptions
from catalog_connectors.feed.source import FeedSource

__all__ = ["FeedOptions", "FeedSource"]
