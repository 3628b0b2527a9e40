"""Where pictures are kept: one protocol, a local folder or S3 behind it."""

from storage.opening import StorageLocation, open_blob, open_store
from storage.protocol import ObjectInfo, ObjectStore, PutResult

__all__ = ["ObjectInfo", "ObjectStore", "PutResult", "StorageLocation", "open_blob", "open_store"]
