"""Where objects are kept. The one place that knows the layout of the object store."""


def photo_key(workspace: str, sha256: str) -> str:
    return f"{workspace}/photos/{sha256}"


def mask_key(workspace: str, sha256: str) -> str:
    return f"{workspace}/masks/{sha256}"


def render_key(workspace: str, fingerprint: str) -> str:
    return f"{workspace}/renders/{fingerprint}"


def rendition_key(workspace: str, sha256: str) -> str:
    return f"{workspace}/renditions/{sha256}"
