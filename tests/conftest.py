"""Fixtures shared by all tests; servers are started by who needs them and stopped at the end."""

from tests.server_fixtures import s3_bucket, s3_server

__all__ = ["s3_bucket", "s3_server"]
