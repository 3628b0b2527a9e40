"""Fixtures shared by all tests; servers are started by who needs them and stopped at the end."""

from hypothesis import settings

from tests.server_fixtures import s3_bucket, s3_server

__all__ = ["s3_bucket", "s3_server"]

# A busy machine is no failed property.
settings.register_profile("adloom", deadline=None)
settings.load_profile("adloom")
